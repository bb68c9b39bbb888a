/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx';
import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';
import { formatAge, visible } from '../visible-text.ts';

/** Facts that all pages of one response share. */
export interface Place {
  /** Host and port, as clients write them before an image's name. */
  readonly host: string;
  /** Whether the page is served over plain HTTP, as on a developer's machine. */
  readonly isPlain: boolean;
  readonly now: Date;
}

/** The section of the site that a page belongs to. */
export type Section = 'repositories' | 'help';

/** A page. `title`: plain text, most specific part first. */
export interface PageProps {
  readonly title: string;
  readonly place: Place;
  readonly section: Section;
  readonly children?: Child;
}

// A gantry crane over a container, in a grid of 24 units.
const FRAME = 'M3 21V6h18v15M1 6h22M8 6v4M16 6v4M7 10h10v6H7zM11 10v6M14 10v6';
const ICON = `data:image/svg+xml,${encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#d9622b" stroke-width="2"><path d="${FRAME}"/></svg>`,
)}`;

/** The whole document. */
export function Page({ title, place, section, children }: PageProps) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${title} · ${place.host}`}</title>
        <link rel="icon" href={ICON} />
        {/* The text is a constant of ours; escaped, its quotes would not be what the policy's hash is of. */}
        <style dangerouslySetInnerHTML={{ __html: STYLE }} />
      </head>
      <body>
        <a class="skip" href="#content">
          Skip to content
        </a>
        <header class="bar">
          <div>
            <a class="brand" href="/">
              <svg
                width="26"
                height="26"
                viewBox="0 0 24 24"
                fill="none"
                stroke="currentColor"
                stroke-width="1.7"
                aria-hidden="true"
              >
                <path d={FRAME} />
              </svg>
              Gantry
            </a>
            <span class="host mono">{place.host}</span>
            <nav aria-label="Main">
              <a href="/" aria-current={section === 'repositories' ? 'true' : undefined}>
                Repositories
              </a>
              <a href="/help" aria-current={section === 'help' ? 'true' : undefined}>
                Help
              </a>
            </nav>
          </div>
        </header>
        <main id="content" tabindex={-1}>
          {children}
        </main>
        <footer>
          <div>A read-only registry for Docker and OCI clients of every age, served by Gantry.</div>
        </footer>
        {/* A constant of ours, as the style sheet. */}
        <script dangerouslySetInnerHTML={{ __html: SCRIPT }} />
      </body>
    </html>
  );
}

/** A command that one click selects. The script adds a button that copies it. */
export function Command({ children }: { readonly children?: Child }) {
  return (
    <div class="copyable">
      <code class="command">{children}</code>
    </div>
  );
}

/** Text with commands in backquotes, as in the reason table. */
export function Prose({ text }: { readonly text: string }) {
  return <>{text.split('`').map((part, index) => (index % 2 === 1 ? <code>{part}</code> : part))}</>;
}

/** An age; the exact time is in its title. Text that is not a time is shown unchanged. */
export function Age({ time, now }: { readonly time: string; readonly now: Date }) {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return <span>{visible(time, 40)}</span>;
  return (
    <time datetime={at.toISOString()} title={at.toISOString()}>
      {formatAge(time, now)}
    </time>
  );
}

/**
 * The annex as the first Worker sees it: a second Worker, behind a service binding, that holds what a pull from the bucket never needs (pages for people, filling from other
 * registries). It has no settings of its own: they come along with each call, over RPC, since headers may end up in logs.
 */
import type { RateLimiter } from './access/login-limit.ts';
import type { RegistryProps } from './gateway/registry.ts';

/** What goes with a question of a filled repository. */
export interface FillProps {
  readonly props: RegistryProps;
  /** Whether a cache stands in front, see `RegistryContext`. */
  readonly cached: boolean;
}

/** What goes with a page. */
export interface PageProps {
  /** The request's id in the log. */
  readonly id: string;
  /** Counts failed logins. A function, which RPC carries as one. */
  readonly limit: RateLimiter['limit'] | null;
}

/** The annex's entrypoint. `settings`: what `settingsOf` gives. */
export interface AnnexEntrypoint {
  /** Answers a question in canonical form, as the registry would. */
  fill(request: Request, settings: string, props: FillProps): Promise<Response>;
  /** Answers a client's request for a page. */
  page(request: Request, settings: string, props: PageProps): Promise<Response>;
}

/** The same for the first Worker. Null: the annex is not there, or failed; the log says how. */
export interface AnnexPort {
  fill(request: Request, props: FillProps, waitUntil: (work: Promise<unknown>) => void): Promise<Response | null>;
  page(request: Request, id: string, waitUntil: (work: Promise<unknown>) => void): Promise<Response | null>;
}

/** The way to the annex. `annex`: its binding, if there is one. */
export function annexPort(
  annex: AnnexEntrypoint | undefined,
  settings: string,
  limiter: RateLimiter | null,
): AnnexPort {
  const ask = async (
    call: (annex: AnnexEntrypoint) => Promise<Response>,
    waitUntil: (work: Promise<unknown>) => void,
  ): Promise<Response | null> => {
    try {
      if (annex === undefined) throw new Error('there is no service binding ANNEX');
      const response = call(annex);
      // Filling goes on where the client leaves before it is answered.
      waitUntil(Promise.resolve(response).catch(() => undefined));
      return framed(await response, waitUntil);
    } catch (error) {
      console.error(
        JSON.stringify({ event: 'annex-unavailable', message: error instanceof Error ? error.message : String(error) }),
      );
      return null;
    }
  };
  return {
    fill: (request, props, waitUntil) => ask((entrypoint) => entrypoint.fill(request, settings, props), waitUntil),
    page: (request, id, waitUntil) =>
      ask(
        (entrypoint) =>
          entrypoint.page(request, settings, {
            id,
            limit: limiter === null ? null : (options) => limiter.limit(options),
          }),
        waitUntil,
      ),
  };
}

/** A body loses its length on the way over RPC: here it gets it back, and breaks off where it is not reached. */
function framed(response: Response, waitUntil: (work: Promise<unknown>) => void): Response {
  const { body, status, headers } = response;
  const length = headers.get('content-length');
  if (body === null || length === null) return new Response(body, { status, headers });
  const { readable, writable } = new FixedLengthStream(Number(length));
  // Whoever reads the body gets the error, too.
  waitUntil(body.pipeTo(writable).catch(() => undefined));
  return new Response(readable, { status, headers });
}

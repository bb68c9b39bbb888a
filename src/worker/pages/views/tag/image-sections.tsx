/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { RepositoryName } from '../../../../registry/name.ts';
import {
  type BlobView,
  type ConfigView,
  type HistoryStep,
  type ManifestView,
  stepsOf,
} from '../../content/image-view.ts';
import { blobPath } from '../../paths.ts';
import { formatBytes } from '../../../../registry/values/byte-size.ts';
import { visible } from '../../visible-text.ts';
import { DigestLink, Pairs } from '../values.tsx';

/** Maximum number of steps shown: runnable images have at most 127 layers, but a manifest may contain more. */
const STEPS_MAX = 300;

/** Colours of neighbouring layers, used in turn. */
const COLOURS = 8;

/** The layers as a bar by size, with the step that created each. `onlyOf`: the platform, if the tag has several. */
export function Layers({
  name,
  manifest,
  history,
  onlyOf,
}: {
  readonly name: RepositoryName;
  readonly manifest: ManifestView;
  readonly history: readonly HistoryStep[];
  readonly onlyOf: string | null;
}) {
  const { steps, fits } = stepsOf(manifest.layers, history);
  const total = manifest.layers.reduce((sum, { size }) => sum + (size ?? 0), 0);
  if (steps.length === 0) return null;
  return (
    <section>
      <h2 id="layers">
        {manifest.kind === 'image' ? 'Layers and history' : 'Contents'}
        {onlyOf !== null && <span class="quiet"> of {visible(onlyOf, 80)}</span>}
      </h2>
      {total > 0 && <Stack layers={manifest.layers} total={total} />}
      {!fits && <p class="quiet">The history does not match the layers, so it is listed after them.</p>}
      <ol class="history">
        {steps.slice(0, STEPS_MAX).map(({ layer, history: step }) => (
          <li>
            <span class="mark">{layer !== null && <Swatch number={layer.number} />}</span>
            <pre>
              {step === null || step.createdBy === ''
                ? layer === null
                  ? '(no command)'
                  : `layer ${String(layer.number)}${layer.mediaType === null || manifest.kind === 'image' ? '' : `: ${visible(layer.mediaType, 120)}`}`
                : visible(step.createdBy)}
            </pre>
            {step !== null && step.comment !== '' && <span class="quiet">{visible(step.comment, 400)}</span>}
            <span class="quiet">
              {layer === null ? (
                'no layer'
              ) : (
                <>
                  {layer.size !== null && `${formatBytes(layer.size)}${share(layer.size, total)} · `}
                  <DigestLink digest={layer.digest} href={blobPath(name, layer.digest)} />
                </>
              )}
            </span>
          </li>
        ))}
      </ol>
      {steps.length > STEPS_MAX && <p class="quiet">and {steps.length - STEPS_MAX} more</p>}
    </section>
  );
}

/**
 * The stacked bar. Widths are SVG attributes, because the page's Content-Security-Policy allows no style attributes.
 */
function Stack({ layers, total }: { readonly layers: readonly BlobView[]; readonly total: number }) {
  let at = 0;
  return (
    <svg
      class="stack"
      viewBox="0 0 1000 28"
      preserveAspectRatio="none"
      role="img"
      aria-label={`${String(layers.length)} ${layers.length === 1 ? 'layer' : 'layers'} by size, ${formatBytes(total)} in all; each is listed below`}
    >
      {layers.slice(0, STEPS_MAX).map(({ size }, index) => {
        const x = at;
        const width = ((size ?? 0) / total) * 1000;
        at += width;
        // The smallest layer is still visible, and a gap separates neighbours.
        return (
          <rect
            class={colourOf(index + 1)}
            x={x.toFixed(2)}
            y="0"
            width={Math.max(1, width - 1.5).toFixed(2)}
            height="28"
          />
        );
      })}
    </svg>
  );
}

function Swatch({ number }: { readonly number: number }) {
  return (
    <svg class="swatch" viewBox="0 0 14 14" aria-hidden="true">
      <rect class={colourOf(number)} width="14" height="14" rx="4" />
    </svg>
  );
}

/** How the image runs, and its labels. */
export function ImageConfig({ config }: { readonly config: ConfigView }) {
  const { platform, created, author, settings, labels } = config;
  const about: readonly (readonly [string, string | null])[] = [
    ['Platform', platform],
    ['Created', created],
    ['Author', author],
  ];
  const pairs = [...about.flatMap(([title, value]) => (value === null ? [] : [[title, value] as const])), ...settings];
  return (
    <>
      {pairs.length > 0 && (
        <>
          <h2 id="configuration">Configuration</h2>
          <Pairs pairs={pairs} />
        </>
      )}
      {labels.length > 0 && (
        <>
          <h2 id="labels">Labels</h2>
          <Pairs pairs={labels} />
        </>
      )}
    </>
  );
}

function colourOf(number: number): string {
  return `c${String((number - 1) % COLOURS)}`;
}

function share(size: number, total: number): string {
  if (total === 0) return '';
  const percent = (size / total) * 100;
  return ` (${percent < 1 ? '<1' : String(Math.round(percent))} %)`;
}

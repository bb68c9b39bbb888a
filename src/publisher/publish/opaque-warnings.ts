import type { Derivation, ImageContent } from '../../manifest/image.ts';
import { readLinks } from '../../manifest/links.ts';
import type { Digest } from '../../registry/digest.ts';
import { formatCount } from '../cli/terminal-text.ts';
import type { Transfer } from './transfer.ts';

/**
 * The layers that a schema 1 names above its base, which hides nothing, without those whose whiteouts were rewritten.
 * Scanning costs about as much time of a processor as reading and sending.
 */
export function layersToScan({ forms, others }: Derivation, { whiteoutCopies }: ImageContent): ReadonlySet<Digest> {
  const rewritten = new Set([...(whiteoutCopies?.values() ?? [])].flat().map((copy) => copy?.digest));
  const layers = [...forms, ...others]
    .filter(({ form }) => form === 'docker-schema1')
    // Newest first.
    .flatMap(({ bytes }) => (readLinks(bytes)?.layers ?? []).slice(0, -1));
  return new Set(layers.map(({ digest }) => digest).filter((digest) => !rewritten.has(digest)));
}

/** The warnings for layers that were sent and scanned. */
export function opaqueWarnings(layers: ReadonlySet<Digest>, transfer: Pick<Transfer, 'opaqueIn'>): readonly string[] {
  return [...layers].flatMap((layer) => {
    const { count = 0, first = null } = transfer.opaqueIn(layer) ?? {};
    if (count === 0) return [];
    return [
      `the layer ${layer} has ${formatCount(count, 'opaque whiteout')} (${String(first)}), which Docker 1.6 to 1.8 ` +
        'ignores: files that it deletes come back there; --rewrite-opaque makes whiteouts that these versions read',
    ];
  });
}

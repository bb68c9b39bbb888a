/** What derivation needs to know of layers' content: unpacked digests where a schema 1 stands alone, gzip copies where they are asked for. */
import type { ImageContent, UnpackedLayer } from '../manifest/image.ts';
import type { Descriptor } from '../registry/descriptor.ts';
import type { Digest } from '../registry/digest.ts';
import type { EventSink } from './events.ts';
import type { SourceBlob, SourceImage } from './sources/source.ts';

/** Which layers get a gzip copy: zstd ones, or all that are not gzip. */
export type Recompress = 'zstd' | 'all';

/** Work on layers, done once an image however often it is tried to be written. */
export interface LayerWork {
  /** Adds what was learnt to the content; `open` gives the bytes of the copies. */
  complete(
    content: Pick<ImageContent, 'roots' | 'children' | 'configs'>,
    source: SourceImage,
  ): Promise<{ readonly content: ImageContent; readonly open: (from: Digest) => Promise<SourceBlob> }>;
}

/** How to work. */
export interface LayerOptions {
  readonly recompress: Recompress | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: EventSink;
}

/**
 * A stand-in for the binding of an Analytics Engine dataset, which refuses what the documented limits refuse
 * (Cloudflare's documentation, "Workers Analytics Engine · Limits", November 2026).
 */
import { DATA_POINT_LIMITS } from '../../src/statistics/pull-event.ts';

/** The binding and what was written through it. */
export interface Dataset {
  readonly binding: AnalyticsEngineDataset;
  readonly points: AnalyticsEngineDataPoint[];
}

/** An empty dataset. `perInvocation`: data points that one invocation may write. */
export function dataset(perInvocation: number = DATA_POINT_LIMITS.perInvocation): Dataset {
  const points: AnalyticsEngineDataPoint[] = [];
  const size = (value: ArrayBuffer | string | null): number =>
    typeof value === 'string' ? new TextEncoder().encode(value).length : (value?.byteLength ?? 0);
  return {
    points,
    binding: {
      writeDataPoint: (point) => {
        const { indexes = [], blobs = [], doubles = [] } = point ?? {};
        const { blobs: mostBlobs, blobBytes, doubles: mostDoubles, indexBytes } = DATA_POINT_LIMITS;
        if (indexes.length > 1) throw new TypeError('Maximum of 1 indexes supported.');
        if (indexes.some((index) => size(index) > indexBytes)) throw new TypeError('Index larger than 96 bytes.');
        if (blobs.length > mostBlobs) throw new TypeError('Maximum of 20 blobs supported.');
        if (doubles.length > mostDoubles) throw new TypeError('Maximum of 20 doubles supported.');
        if (blobs.reduce((sum, blob) => sum + size(blob), 0) > blobBytes) throw new TypeError('Blobs over 16 KB.');
        if (points.length >= perInvocation) throw new TypeError('Too many data points in one invocation.');
        if (point !== undefined) points.push(point);
      },
    },
  };
}

import { readFile } from 'node:fs/promises';
import { parse } from 'smol-toml';
import { CommandError } from '../cli/errors.ts';
import { PROJECT } from '../project.ts';
import { messageOf } from '../../registry/values/error-message.ts';

/** The wrangler.toml of this package. */
export const OWN_CONFIG = `${PROJECT}wrangler.toml`;

/** The name under which Wrangler and Miniflare keep the Worker's bucket locally. Throws {@link CommandError}. */
export async function readLocalBucket(config = OWN_CONFIG): Promise<string> {
  let buckets: unknown;
  try {
    buckets = (parse(await readFile(config, 'utf8')) as { r2_buckets?: unknown }).r2_buckets;
  } catch (cause) {
    throw new CommandError(`${config} cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
  const ours: unknown = Array.isArray(buckets)
    ? buckets.find((one: unknown) => (one as { binding?: unknown } | null)?.binding === 'BUCKET')
    : undefined;
  const { preview_bucket_name: preview, bucket_name: name } = (ours ?? {}) as {
    preview_bucket_name?: unknown;
    bucket_name?: unknown;
  };
  const bucket = preview ?? name;
  if (typeof bucket !== 'string')
    throw new CommandError(`${config} has no [[r2_buckets]] with the binding BUCKET`, {
      hint: 'The Worker needs it, and so does the local store.',
    });
  return bucket;
}

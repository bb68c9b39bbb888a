/** Names for completion, from the bucket. Nothing is created, and nothing takes long. */
import { parseRepositoryName } from '../../registry/name.ts';
import { readCatalog, readTagList } from '../commands/stored.ts';
import { DEFAULT_STATE, type Environment } from '../cli/environment.ts';
import type { OpenTarget, Target } from '../stores/target.ts';
import type { ChosenBucket, CompletionData } from './candidates.ts';

/** A person at a prompt does not wait longer, in milliseconds. */
const PATIENCE_MS = 3_000;

/** The most names that are offered. */
const NAMES = 1_000;

/** Reads the bucket that the options choose; where that fails or takes too long there are no names. */
export function bucketData(openTarget: OpenTarget, { variables }: Environment): CompletionData {
  const withTarget = async (
    { to = 'local', state = DEFAULT_STATE }: ChosenBucket,
    read: (target: Target) => Promise<readonly string[]>,
  ): Promise<readonly string[]> => {
    const reading = (async () => {
      const target = await openTarget({ to, state, mustExist: true, env: variables });
      try {
        return await read(target);
      } finally {
        await target.close();
      }
    })();
    return inTime(reading);
  };
  return {
    repositories: (chosen) => withTarget(chosen, async ({ store }) => readCatalog(store)),
    tags: (chosen, text) => {
      const name = parseRepositoryName(text);
      if (name === null) return Promise.resolve([]);
      return withTarget(chosen, async ({ store }) => (await readTagList(store, name)).map(({ tag }) => tag));
    },
    buckets: () => inTime(listBuckets(variables)),
  };
}

async function inTime(reading: Promise<readonly string[]>): Promise<readonly string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly string[]>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS, []);
  });
  try {
    return (await Promise.race([reading.catch(() => []), late])).slice(0, NAMES);
  } finally {
    clearTimeout(timer);
  }
}

async function listBuckets(variables: Readonly<NodeJS.ProcessEnv>): Promise<readonly string[]> {
  const [{ ListBucketsCommand }, { createClient, readS3Address }] = await Promise.all([
    import('@aws-sdk/client-s3'),
    import('../stores/s3-target.ts'),
  ]);
  // The address needs a bucket; the request names none.
  const client = createClient(readS3Address('s3://any', variables));
  try {
    const { Buckets = [] } = await client.send(new ListBucketsCommand({}));
    return Buckets.flatMap(({ Name }) => (Name === undefined ? [] : [Name]));
  } finally {
    client.destroy();
  }
}

/** Names for completion, from the bucket. Nothing is created, and nothing takes long. */
import { parseRepositoryName } from '../../registry/name.ts';
import { readCatalog, readTagList } from '../commands/stored.ts';
import { DEFAULT_STATE, type Environment } from '../cli/environment.ts';
import type { OpenTarget, Target } from '../stores/target.ts';
import type { ChosenBucket, CompletionData } from './candidates.ts';

/** How long a person at a prompt waits at most, in seconds, unless `GANTRY_COMPLETION_TIMEOUT` has another number. */
const PATIENCE_SECONDS = 3;

/** The most names that are offered. */
const NAMES = 1_000;

/** Reads the bucket that the options choose; where that fails or takes too long there are no names. */
export function bucketData(openTarget: OpenTarget, { variables }: Environment): CompletionData {
  const withTarget = async (
    { to = 'local', state = DEFAULT_STATE, ...s3 }: ChosenBucket,
    read: (target: Target) => Promise<readonly string[]>,
  ): Promise<readonly string[]> => {
    const reading = (async () => {
      const target = await openTarget({ to, state, mustExist: true, env: variables, s3 });
      try {
        return await read(target);
      } finally {
        await target.close();
      }
    })();
    return inTime(reading, variables);
  };
  return {
    repositories: (chosen) => withTarget(chosen, async ({ store }) => readCatalog(store)),
    tags: (chosen, text) => {
      const name = parseRepositoryName(text);
      if (name === null) return Promise.resolve([]);
      return withTarget(chosen, async ({ store }) => (await readTagList(store, name)).map(({ tag }) => tag));
    },
    buckets: (chosen) => inTime(listAllBuckets(variables, chosen), variables),
  };
}

async function inTime(
  reading: Promise<readonly string[]>,
  { GANTRY_COMPLETION_TIMEOUT }: Readonly<NodeJS.ProcessEnv>,
): Promise<readonly string[]> {
  const seconds = /^\d{1,3}$/.test(GANTRY_COMPLETION_TIMEOUT ?? '')
    ? Number(GANTRY_COMPLETION_TIMEOUT)
    : PATIENCE_SECONDS;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly string[]>((resolve) => {
    timer = setTimeout(resolve, seconds * 1000, []);
  });
  try {
    return (await Promise.race([reading.catch(() => []), late])).slice(0, NAMES);
  } finally {
    clearTimeout(timer);
  }
}

async function listAllBuckets(
  variables: Readonly<NodeJS.ProcessEnv>,
  chosen: ChosenBucket,
): Promise<readonly string[]> {
  const [{ S3Client }, { listBuckets }, { readS3Server }] = await Promise.all([
    import('../stores/s3/client.ts'),
    import('../stores/s3/requests.ts'),
    import('../stores/s3/server.ts'),
  ]);
  const client = new S3Client(await readS3Server(variables, chosen));
  try {
    return await listBuckets(client);
  } finally {
    client.destroy();
  }
}

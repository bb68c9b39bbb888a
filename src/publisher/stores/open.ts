import { CommandError } from '../cli/errors.ts';
import { DEFAULT_STATE, type OpenTarget } from './target.ts';

/** Opens the bucket that `--to` names. */
export const openTarget: OpenTarget = async ({ to, state, env }) => {
  if (to === 'local') return (await import('../local/open-local.ts')).openLocal(state ?? DEFAULT_STATE);
  if (to.startsWith('s3://')) return (await import('./s3-target.ts')).openS3(to, env);
  throw new CommandError(`--to ${to} is no target`, { kind: 'usage', hint: 'Write --to local, or --to s3://BUCKET.' });
};

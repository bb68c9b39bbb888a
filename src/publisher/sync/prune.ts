/**
 * Deletes tags of the bucket that the source has no more, at once or by a retention rule, within the limit that guards
 * against a faulty source.
 */
import { deleteTags } from '../../bucket/delete-tags.ts';
import { isCompanionTag } from '../../bucket/image-source.ts';
import { readSettings } from '../../bucket/format.ts';
import { protectionOf } from '../../bucket/settings/immutable-tags.ts';
import { listTags } from '../../bucket/survey.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { CommandError } from '../cli/errors.ts';
import type { SourceTags } from '../sources/source.ts';
import { selectExpired } from '../retention/rule.ts';
import { readTagTimes } from '../retention/tag-times.ts';
import type { Run } from './run.ts';

/** Leaves out immutable tags, with a warning. */
export async function keepImmutable(
  tags: readonly Tag[],
  { report, options: { store }, to }: Pick<Run, 'report' | 'options'> & { readonly to: RepositoryName },
): Promise<readonly Tag[]> {
  if (tags.length === 0) return tags;
  const { immutable } = await readSettings(store);
  const kept = tags.filter((tag) => protectionOf(immutable, to, tag) !== null);
  if (kept.length > 0) report.warnings.push(`${to}:${kept.join(', ')} would be pruned, but stays: it is immutable`);
  return kept.length === 0 ? tags : tags.filter((tag) => !kept.includes(tag));
}

/**
 * The tags that go: those that `prune` has no patience with, and of the others that are not synced those that the
 * retention rule does not keep. A tag that is synced never goes, since the next sync would bring it again.
 */
async function selectGone(
  { job: { to, settings }, options: { store, now = Date.now } }: Run,
  there: readonly Tag[],
  { listed, selected }: { readonly listed: readonly Tag[]; readonly selected: readonly Tag[] },
): Promise<readonly Tag[]> {
  const { retention } = settings;
  const kept = { none: there, missing: listed, unselected: selected }[settings.prune];
  const companions = listed.filter(isCompanionTag);
  const keep: ReadonlySet<string> = new Set([...kept, ...companions]);
  const left = there.filter((tag) => !keep.has(tag));
  if (retention === undefined) return left;
  const { immutable } = await readSettings(store);
  const settled: ReadonlySet<string> = new Set([...left, ...selected]);
  const others = (await readTagTimes(store, to)).filter(
    ({ tag }) => !settled.has(tag) && protectionOf(immutable, to, tag) === null,
  );
  return [...left, ...selectExpired(others, retention, now()).map(({ tag }) => tag)];
}

/** Deletes the tags that go. `selected`: those that are synced. */
export async function prune(run: Run, { tags: listed, warning }: SourceTags, selected: readonly Tag[]): Promise<void> {
  const { job, options, report, stopped } = run;
  const { to } = job;
  if (stopped) return;
  if (listed.length === 0) {
    report.warnings.push(
      `${job.from} lists no tags: nothing is pruned, because an empty list is more often a fault than intended`,
    );
    return;
  }
  // Sent by a registry whose own source fails: what it does not list may be there all the same.
  if (warning !== undefined) {
    throw new CommandError(`the tag list of ${job.from} came with a Warning (${warning}), so nothing was pruned`, {
      hint: 'The list may lack tags. Sync again when the registry answers without a Warning.',
    });
  }
  const there = [...(await listTags(options.store, to)).keys()];
  const gone = await keepImmutable(await selectGone(run, there, { listed, selected }), { report, options, to });
  const limit = options.pruneLimit;
  if (gone.length > Math.max(1, there.length * limit)) {
    const share = `${String(Math.ceil((gone.length * 100) / there.length))}%`;
    throw new CommandError(
      `${String(gone.length)} of the ${String(there.length)} tags of ${to} would be pruned, which is more than ` +
        `${String(Math.round(limit * 100))} percent, so nothing was pruned`,
      { hint: `If ${job.from} really no longer has them: gantry sync … --prune-limit ${share}` },
    );
  }
  const onDeleted = (tag: Tag): void => {
    report.tags.pruned.push(tag);
    options.onTag?.({ name: to, tag, what: 'pruned' });
  };
  if (options.dryRun) for (const tag of gone) onDeleted(tag);
  else await deleteTags(options.store, to, gone, { signal: options.signal, onDeleted });
}

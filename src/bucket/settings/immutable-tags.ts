/**
 * Immutable tags: which tags may not be moved or deleted once they point to something. Pure; the rules are in the
 * bucket's settings (bucket/format.ts), and every writer of tags decides here, over exactly the tag object that its
 * conditional write replaces.
 */
import type { Digest } from '../../registry/digest.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import { isCompanionTag } from '../image-source.ts';
import {
  isRepositoryPattern,
  isTagPattern,
  matchesRepository,
  matchesWildcards,
} from '../../registry/values/name-pattern.ts';

/** One rule: tags that match `tags`, of repositories that match `repository`, are immutable. */
export interface ImmutableRule {
  readonly tags: string;
  /** `*`: all repositories. */
  readonly repository: string;
  /** Whether `--force` moves or deletes the tag nevertheless. */
  readonly allowForce: boolean;
}

/** The rules, in the order in which they were set. */
export type ImmutableRules = readonly ImmutableRule[];

/** Why a tag is immutable: the first rule that applies to it, and whether all that do allow `--force`. */
export interface Protection {
  readonly rule: ImmutableRule;
  readonly allowForce: boolean;
}

/**
 * The protection of a tag; null if no rule applies to it. Tags that are named by a manifest's digest are never
 * immutable: cosign and clients without the referrers API write them again for each signature.
 */
export function protectionOf(rules: ImmutableRules, name: RepositoryName, tag: Tag): Protection | null {
  if (rules.length === 0 || isCompanionTag(tag)) return null;
  const applying = rules.filter(
    ({ tags, repository }) => matchesRepository(repository, name) && matchesWildcards(tags, tag),
  );
  const [rule] = applying;
  return rule === undefined ? null : { rule, allowForce: applying.every(({ allowForce }) => allowForce) };
}

/** A change of a tag: the digests that were published under it, before and after. Empty: the tag points to nothing. */
export interface TagMove {
  readonly before: readonly Digest[];
  readonly after: readonly Digest[];
}

/**
 * Whether a change moves the tag. A tag moves if what was published under it differs: manifests that are derived from
 * it follow it. A tag that pointed to nothing does not move.
 */
export function isMove({ before, after }: TagMove): boolean {
  if (before.length === 0) return false;
  const known: ReadonlySet<Digest> = new Set(before);
  return new Set(after).size !== known.size || after.some((digest) => !known.has(digest));
}

/** Throws {@link ImmutableTagError} if a change moves or deletes an immutable tag. `force`: the user wants it. */
export function refuseMove(
  rules: ImmutableRules,
  { name, tag, force = false }: { readonly name: RepositoryName; readonly tag: Tag; readonly force?: boolean },
  move: TagMove,
): void {
  const protection = protectionOf(rules, name, tag);
  if (protection === null || !isMove(move) || (force && protection.allowForce)) return;
  throw new ImmutableTagError(name, [tag], protection, move.after.length === 0 ? 'deleted' : move);
}

/** A rule, as messages name it. */
export function ruleTitle({ tags, repository }: ImmutableRule): string {
  return repository === '*' ? tags : `${tags} of ${repository}`;
}

/** Tags that a rule keeps from being moved or deleted. */
export class ImmutableTagError extends Error {
  override readonly name = 'ImmutableTagError';
  /** What to do, in one or two sentences. */
  readonly hint: string;

  /** `change`: `'deleted'`, or what the tag would move from and to. */
  constructor(
    name: RepositoryName,
    tags: readonly [Tag, ...(readonly Tag[])],
    { rule, allowForce }: Protection,
    change: 'deleted' | TagMove,
  ) {
    const are = tags.length === 1 ? 'is' : 'are';
    const what =
      change === 'deleted'
        ? 'cannot be deleted'
        : `points to ${change.before.join(' and ')}, so it cannot be moved to ${change.after.join(' and ')}`;
    super(`${name}:${tags.join(', ')} ${are} immutable by the rule ${ruleTitle(rule)}, and ${what}`);
    const [verb, forced] = change === 'deleted' ? ['delete', 'gantry rm --force'] : ['move', 'gantry publish --force'];
    const of = rule.repository === '*' ? '' : ` --repository '${rule.repository}'`;
    const way = allowForce ? forced : `gantry config unset immutable '${rule.tags}'${of}`;
    this.hint =
      (change === 'deleted' ? '' : 'Publish under another tag. ') +
      `To ${verb} it all the same, ${allowForce ? 'which the rule allows' : 'remove the rule first'}: ${way}`;
  }
}

/** Reads rules from JSON; null if anything of them is not understood. */
export function parseImmutableRules(value: unknown): ImmutableRules | null {
  if (!Array.isArray(value)) return null;
  const rules: ImmutableRule[] = [];
  for (const item of value as readonly unknown[]) {
    if (typeof item !== 'object' || item === null) return null;
    const { tags, repository, allowForce, ...others } = item as Readonly<Record<string, unknown>>;
    if (Object.keys(others).length > 0 || typeof allowForce !== 'boolean') return null;
    if (typeof tags !== 'string' || !isTagPattern(tags)) return null;
    if (typeof repository !== 'string' || !isRepositoryPattern(repository)) return null;
    rules.push({ tags, repository, allowForce });
  }
  return rules;
}

/** Adds rules; one for the same patterns is replaced. */
export function withRules(rules: ImmutableRules, added: ImmutableRules): ImmutableRules {
  return [...rules.filter((rule) => !added.some((one) => isSameRule(one, rule))), ...added];
}

/** Whether two rules have the same patterns. */
export function isSameRule(
  a: Pick<ImmutableRule, 'tags' | 'repository'>,
  b: Pick<ImmutableRule, 'tags' | 'repository'>,
): boolean {
  return a.tags === b.tags && a.repository === b.repository;
}

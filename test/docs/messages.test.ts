/** The wording of all messages: rules that a program can check. docs/reference/messages.md prints them for the reader. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { collectTexts } from '../../docs/generator/collect-texts.ts';
import { REASONS, type Reason, reasonRow } from '../../src/registry/errors.ts';
import { helpOf } from '../../src/registry/help.ts';

const files = await collectTexts(fileURLToPath(new URL('../../src', import.meta.url)));
const reasons = Object.keys(REASONS) as Reason[];

/** Every message, hint and sentence, with its place. */
const TEXTS: readonly { readonly where: string; readonly text: string }[] = [
  ...files.flatMap(({ path, errors, others }) =>
    [...errors.flatMap(({ message, hint }) => [message, hint ?? '']), ...others].map((text) => ({ where: path, text })),
  ),
  ...reasons.flatMap((reason) =>
    [reasonRow(reason).message, ...helpOf(reason).paragraphs].map((text) => ({ where: reason, text })),
  ),
];

describe('the messages', () => {
  it('are found in the source', () => {
    expect(files.flatMap(({ errors }) => errors).length).toBeGreaterThan(500);
    const target = files.find(({ path }) => path === 'publisher/program.ts')?.errors;
    expect(target).toContainEqual({
      from: 'usageError',
      codes: [],
      message: '--to {to} is not a valid target',
      hint: 'Write --to local, or --to s3://BUCKET.',
    });
  });

  it.each([
    ['have no clause with "who" or "what" as subject', /(?:^|[.;:] )(?:Who(?:ever)?|What(?:ever)?) (?!.*\?)[a-z]/],
    ['say "is not a valid …"', /(?<!\bthere )\bis no (?:source|target|name|tag|digest|key|repository|platform|Pulp)\b/],
    ['say "again", not "anew"', /\banew\b/],
    ['say "fix", not "mend"', /\bmend/i],
    ['say "expired"', /\bhave ended\b|\bthat ended\b/],
    ['say "not possible" or "not available"', /\bcannot be had\b/],
  ])('%s', (_, forbidden) => {
    expect(TEXTS.filter(({ text, where }) => forbidden.test(text) && !where.startsWith('worker/pages/'))).toEqual([]);
  });

  it('have sentences of at most thirty words', () => {
    const long = TEXTS.flatMap(({ where, text }) =>
      text
        .split(/(?<=[.;:!?]) |\n/)
        .filter((sentence) => sentence.trim().split(/\s+/).length > 30)
        .map((sentence) => `${where}: ${sentence}`),
    );
    expect(long).toEqual([]);
  });
});

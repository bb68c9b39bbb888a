/** Turns the events of `gantry publish --json` and `receive --json` into the outputs and the summary of a step. */
import { appendFileSync, readFileSync } from 'node:fs';

const { GITHUB_OUTPUT, GITHUB_STEP_SUMMARY } = process.env;
const events = readFileSync(process.argv[2], 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line));
const images = events
  .filter(({ event }) => event === 'result' || event === 'published')
  .map(({ name, tag, change, forms }) => ({
    name,
    tag,
    digest: forms.find(({ source }) => source.kind === 'published')?.digest ?? forms[0]?.digest,
    change,
  }));

for (const { name, tag, digest, change } of images) console.log(`${name}:${tag} ${digest} ${change}`);
if (GITHUB_OUTPUT) {
  appendFileSync(GITHUB_OUTPUT, `digest=${images[0]?.digest ?? ''}\nimages=${JSON.stringify(images)}\n`);
}
if (GITHUB_STEP_SUMMARY) {
  const rows = images.map(({ name, tag, digest, change }) => `| ${name}:${tag} | \`${digest}\` | ${change} |`);
  appendFileSync(GITHUB_STEP_SUMMARY, ['| image | digest | |', '|---|---|---|', ...rows, ''].join('\n'));
}

/** `npm run proof`: makes docs/proof.md of the results in docs/results, and prints the targets that were missed. */
import { writeFileSync } from 'node:fs';
import { proofPage } from './page.ts';
import { readProofs } from './result.ts';

const results = readProofs();
writeFileSync(new URL('../../docs/proof.md', import.meta.url), proofPage(results));
for (const { name, figures } of results)
  for (const { what, found, target, met } of figures)
    if (met === false) process.stdout.write(`missed: ${name}: ${what}: ${found}, wanted ${target ?? ''}\n`);
process.stdout.write(`${String(results.length)} results\n`);

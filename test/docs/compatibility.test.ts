/** docs/reference/compatibility.md claims nothing that it does not say how it knows, and its letters stand for kept results. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { familyOf } from '../../docs/generator/compatibility.ts';
import { CLIENTS } from '../../src/manifest/clients/known-clients.ts';
import { mergeResults, readResults, type Result } from '../interop/matrix/results.ts';
import { ROOT } from './blocks.ts';

const text = await readFile(join(ROOT, 'docs', 'reference', 'compatibility.md'), 'utf8');
const results = await readResults();
const rows = text
  .split('\n\n')
  .find((block) => block.startsWith('| client '))
  ?.split('\n')
  .filter((line) => !line.startsWith('|--'))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

describe('the table of compatibility', () => {
  it('has a row for each family of clients', () => {
    expect(rows?.slice(1).map(([title]) => title)).toEqual(CLIENTS.map(({ title }) => title));
  });

  it('says in every cell what the client gets, and of each form that it can use how that is known', () => {
    const cells = rows?.slice(1).flatMap(([, , ...own]) => own) ?? [];
    expect(cells.length).toBeGreaterThan(200);
    expect(
      cells.filter((cell) => !/^(?:404|✗ (?:S1|S2|DL|OM|OI)’?|(?:S1|S2|DL|OM|OI)’? (?:S|[CER]+))$/.test(cell)),
    ).toEqual([]);
  });

  it('claims a real engine only where one pulled', () => {
    const engines = new Set(
      results.flatMap((result) =>
        result.method === 'engine' && result.outcome.kind === 'pulled' ? [familyOf(result)] : [],
      ),
    );
    for (const client of CLIENTS) {
      const [, , ...cells] = rows?.find(([title]) => title === client.title) ?? [];
      expect(
        cells.some((cell) => cell.split(' ')[1]?.includes('E') === true),
        client.id,
      ).toBe(engines.has(client.id));
    }
  });

  it('rests on results of which none is not as it should be', () => {
    expect(results.filter(({ outcome }) => outcome.kind === 'failed')).toEqual([]);
    expect(results.filter((result) => familyOf(result) === null && !result.client.includes(' and '))).toEqual([]);
  });

  it('does not claim that Docker 1.6 pulls all tags, or that it pulls names that it refuses', () => {
    const ofFirst = results.filter((result) => familyOf(result) === 'docker-1.6');
    expect(ofFirst.length).toBeGreaterThan(0);
    for (const { image, way, outcome } of ofFirst)
      if (way === 'all' || image === 'odd') expect(outcome.kind).toBe('known');
  });
});

it.each([
  ['docker engine, replayed', '1.6.2', 'docker-1.6'],
  ['docker engine', '1.7.1', 'docker-1.7'],
  ['docker', '17.09.1-ce', 'docker-1.10'],
  ['docker', '18.09.9', 'docker-18'],
  ['docker', '19.03.4', 'docker-19.03.0'],
  ['docker', '19.03.5', 'docker-19'],
  ['docker', '20.10.24+dfsg1', 'docker-20'],
  ['docker', '29.1.0', 'docker-28'],
  ['containerd (ctr)', '1.4.13', 'containerd-1.4'],
  ['containerd (ctr)', '2.2.0', 'containerd-2'],
  ['podman', '5.4.2', 'podman-5.6'],
  ['podman', '5.10.0', 'podman'],
  ['skopeo', '1.22.0', 'podman'],
  ['crane (go-containerregistry)', '0.20.2', 'crane'],
  ['skopeo and umoci unpack', '0.4.7', null],
])('%s %s belongs to %s', (client, version, expected) => {
  expect(familyOf({ client, version })).toBe(expected);
});

it('a later result replaces the one of the same pull, and no other', () => {
  const result = (image: Result['image'], kind: 'pulled' | 'failed'): Result => ({
    machine: 'm',
    client: 'docker',
    version: '1',
    method: 'engine',
    image,
    way: 'tag',
    outcome: kind === 'pulled' ? { kind } : { kind, words: 'x' },
  });
  expect(mergeResults([result('oci', 'failed'), result('list', 'pulled')], [result('oci', 'pulled')])).toEqual([
    result('oci', 'pulled'),
    result('list', 'pulled'),
  ]);
});

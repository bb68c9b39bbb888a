/** Which forms of a tag stay: the decision table. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identitiesOf } from '../../src/publisher/publish/image-identity.ts';
import { mergeForms, type PublishedRoot } from '../../src/publisher/publish/merge-forms.ts';
import { readImage } from '../../src/bucket/read-image.ts';
import { openDir } from '../../src/publisher/sources/dir.ts';
import { writeDirImage } from './dir-image.ts';

let folder: string;
/** One image as schema 2 and as OCI manifest; another image as schema 2 and as OCI manifest. */
let one: { readonly docker: PublishedRoot; readonly oci: PublishedRoot };
let other: { readonly docker: PublishedRoot; readonly oci: PublishedRoot };

async function rootOf(
  name: string,
  layers: readonly Uint8Array[],
  form: 'docker-schema2' | 'oci-manifest',
): Promise<PublishedRoot> {
  const image = await writeDirImage(join(folder, `${name}-${form}`), { layers, form });
  const { content } = await readImage(await openDir(image.folder));
  const [root] = content.roots;
  if (root === undefined) throw new Error('no root');
  return { form: root.form, digest: root.digest, identities: identitiesOf(root, content) };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-join-'));
  const both = async (name: string, layers: readonly Uint8Array[]): Promise<typeof one> => ({
    docker: await rootOf(name, layers, 'docker-schema2'),
    oci: await rootOf(name, layers, 'oci-manifest'),
  });
  one = await both('one', [new Uint8Array([1])]);
  other = await both('other', [new Uint8Array([2])]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('what stays of the forms that a tag had', () => {
  const kept = (
    existing: readonly PublishedRoot[],
    fresh: readonly PublishedRoot[],
    replace = false,
  ): { kept: string[]; dropped: string[] } => {
    const decided = mergeForms(existing, fresh, replace);
    return {
      kept: decided.kept.map(({ form }) => form),
      dropped: decided.dropped.map(({ root, why }) => `${root.form}: ${why}`),
    };
  };

  it('is another form of the same image', () => {
    expect(kept([one.docker], [one.oci])).toEqual({ kept: ['docker-schema2'], dropped: [] });
    expect(kept([one.oci], [one.docker])).toEqual({ kept: ['oci-manifest'], dropped: [] });
  });

  it('is not a form of another image: a tag never has forms of two', () => {
    expect(kept([one.docker], [other.oci])).toEqual({ kept: [], dropped: ['docker-schema2: other-image'] });
    expect(kept([one.docker, one.oci], [other.docker])).toEqual({
      kept: [],
      dropped: ['docker-schema2: same-form', 'oci-manifest: other-image'],
    });
  });

  it('is not the form that came anew', () => {
    expect(kept([one.docker], [other.docker])).toEqual({ kept: [], dropped: ['docker-schema2: same-form'] });
  });

  it('is nothing where the tag is to be started anew', () => {
    expect(kept([one.docker], [one.oci], true)).toEqual({ kept: [], dropped: ['docker-schema2: replace'] });
  });

  it('does not count the very same manifest, which neither stays nor goes', () => {
    expect(kept([one.docker], [one.docker])).toEqual({ kept: [], dropped: [] });
    expect(kept([one.docker], [one.docker], true)).toEqual({ kept: [], dropped: [] });
  });
});

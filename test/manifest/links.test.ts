/** Links of a manifest are read leniently: members of a wrong type count as absent. */
import { expect, test } from 'vitest';
import { readLinks } from '../../src/manifest/links.ts';

test.each([null, 1, 'linux', [], {}, { os: 'linux' }, { os: null, architecture: 'amd64' }])(
  'a platform %j counts as absent',
  (platform) => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const list = { schemaVersion: 2, manifests: [{ digest, platform, annotations: null, artifactType: 7 }] };
    const links = readLinks(new TextEncoder().encode(JSON.stringify(list)));
    expect(links?.children).toEqual([{ digest, mediaType: '', size: 0 }]);
  },
);

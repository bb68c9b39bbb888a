/** Signed schema 1 documents, then damaged: what verification must tell apart. */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { createSigner } from '../../src/manifest/signing/jws.ts';
import type { PrivateKey } from '../../src/manifest/signing/key.ts';
import { byteChange, changeBytes, changeTree, treeChange } from './configs.ts';
import { copyTree, parseTree, printTree } from './json-tree.ts';

const TIME = '2026-11-24T00:08:56Z';

const readAll = (folder: string): string[] => {
  const url = new URL(`../fixtures/${folder}/`, import.meta.url);
  return readdirSync(url).map((file) => readFileSync(new URL(file, url)).toString('latin1'));
};

/** Documents that are whole, or changed a little: in their bytes, or in the JSON of their signatures. */
export function damagedDocument(keys: readonly PrivateKey[]): fc.Arbitrary<Uint8Array> {
  const payload = new Uint8Array(
    readFileSync(new URL('../fixtures/schema1/02-busybox-classic/payload.json', import.meta.url)),
  );
  const signed = keys.map((key) => Buffer.from(createSigner(key).sign(payload, TIME)).toString('latin1'));
  const documents = fc.constantFrom(...signed, ...readAll('schema1-verify'), ...readAll('schema1-signed'));
  return documents
    .chain((document) => {
      // The signed part ends where the signatures begin; only what is behind may be changed without breaking it.
      const signatures = document.indexOf('"signatures"');
      const inBytes = fc.tuple(fc.boolean(), fc.array(byteChange, { maxLength: 2 })).map(([behind, changes]) => {
        const kept = behind && signatures > 0 ? signatures : 0;
        return document.slice(0, kept) + changes.reduce(changeBytes, document.slice(kept));
      });
      const inTree = fc.array(treeChange, { minLength: 1, maxLength: 2 }).map((changes) => {
        const start = document.indexOf('[', signatures);
        const end = document.lastIndexOf(']') + 1;
        try {
          const tree = copyTree(parseTree(document.slice(start, end)));
          for (const change of changes) changeTree(tree, change);
          return document.slice(0, start) + printTree(tree) + document.slice(end);
        } catch {
          return document;
        }
      });
      return fc.oneof(inBytes, inTree);
    })
    .map((text) => new Uint8Array(Buffer.from(text, 'latin1')));
}

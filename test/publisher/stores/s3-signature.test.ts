/** Signatures: the examples of Amazon's S3 API reference ("Signature Calculations for the Authorization Header"). */
import { describe, expect, it } from 'vitest';
import { EMPTY_SHA256, presignedUrl, signedHeaders } from '../../../src/publisher/stores/s3/signature.ts';
import { escapeXml, parseXml, textOf } from '../../../src/publisher/stores/s3/xml.ts';

const SIGNING = {
  keys: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
  region: 'us-east-1',
  date: new Date('2013-05-24T00:00:00Z'),
};
const HOST = 'https://examplebucket.s3.amazonaws.com';

describe('a signature', () => {
  it.each([
    [
      'GET',
      '/test.txt',
      { range: 'bytes=0-9' },
      EMPTY_SHA256,
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ],
    [
      'PUT',
      '/test%24file.text',
      { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
      '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    ],
    ['GET', '/?lifecycle=', {}, EMPTY_SHA256, 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
    [
      'GET',
      '/?max-keys=2&prefix=J',
      {},
      EMPTY_SHA256,
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    ],
  ])('of %s %s is that of the reference', (method, path, headers, payloadHash, expected) => {
    const request = { method, url: new URL(HOST + path), headers, payloadHash };
    const signed = signedHeaders(request, SIGNING);
    expect(signed.authorization).toMatch(new RegExp(`Signature=${expected}$`));
  });

  it('in an address is that of the reference', () => {
    const url = presignedUrl({ method: 'GET', url: new URL(`${HOST}/test.txt`) }, SIGNING, 86_400);
    expect(url.searchParams.get('X-Amz-Signature')).toBe(
      'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    );
  });
});

describe('XML', () => {
  it('is read as elements and text, with entities, prefixes, sections and comments', () => {
    const xml = parseXml(
      '\uFEFF<?xml version="1.0"?>\n<!-- x --><s:A xmlns:s="urn:s">\n <Key>a&amp;b&#x41;&#66;<![CDATA[<&>]]></Key><Empty/> <B></B>\n</s:A>\n',
    );
    expect(xml?.name).toBe('A');
    expect(xml === null ? '' : textOf(xml, 'Key')).toBe('a&bAB<&>');
    expect(xml?.children.map(({ name }) => name)).toEqual(['Key', 'Empty', 'B']);
  });

  it.each([
    '',
    'text',
    '<html><body><p>no end</body></html>',
    '<a>',
    '<a></b>',
    '<a/><b/>',
    '<a/>x',
    '{"a":1}',
    '<a>1 < 2</a>',
  ])('is not %j', (text) => {
    expect(parseXml(text)).toBeNull();
  });

  it('is written so that it is read as it was', () => {
    const text = `a<b>&"'\r\nü`;
    const xml = parseXml(`<a><Key>${escapeXml(text)}</Key></a>`);
    expect(xml === null ? '' : textOf(xml, 'Key')).toBe(text);
  });
});

/** Lists, as clients that push read them back: tags, and what refers to a manifest. */
import { referrersKey, tagListKey } from '../../registry/keys.ts';
import { MEDIA_TYPE_OF_FORM, MEDIA_TYPES } from '../../registry/media-type.ts';
import { compareNames } from '../../registry/name.ts';
import { decodeReferrers, encodeReferrers } from '../../registry/referrers.ts';
import { decodeSortedList } from '../../registry/sorted-list.ts';
import { readObject } from '../../bucket/read-object.ts';
import { digestOf, type PushRequest, send } from './push-request.ts';
import { PushError } from './push-error.ts';

/** `GET /v2/<name>/tags/list`, with `n` and `last` (OCI distribution spec, "Listing Tags"). */
export async function getTags({ context, request, response, query, name }: PushRequest): Promise<void> {
  const object = await readObject(context.store, tagListKey(name));
  if (object === null) throw new PushError('NAME_UNKNOWN', `nothing was pushed to ${name}`);
  const last = query.get('last');
  const all = decodeSortedList(object.bytes)
    .map((entry) => entry.name)
    .filter((tag) => last === null || compareNames(tag, last) > 0);
  const n = query.get('n');
  if (n !== null && !/^\d{1,6}$/.test(n)) throw new PushError('UNSUPPORTED', `n=${n} is not a number of tags`);
  const tags = n === null ? all : all.slice(0, Number(n));
  const next = tags.at(-1);
  const link = `</v2/${name}/tags/list?n=${n ?? ''}&last=${encodeURIComponent(next ?? '')}>; rel="next"`;
  const body = JSON.stringify({ name, tags });
  send(
    response,
    200,
    {
      'content-type': MEDIA_TYPES.json,
      'content-length': String(Buffer.byteLength(body)),
      ...(next !== undefined && tags.length < all.length && { link }),
    },
    request.method === 'HEAD' ? null : body,
  );
}

/** `GET /v2/<name>/referrers/<digest>`, with `artifactType` (OCI distribution spec, "Listing Referrers"). */
export async function getReferrers({ context, request, response, query, name, last }: PushRequest): Promise<void> {
  const object = await readObject(context.store, referrersKey(name, digestOf(last)));
  const artifactType = query.get('artifactType');
  const all = object === null ? [] : decodeReferrers(object.bytes);
  const body = encodeReferrers(artifactType === null ? all : all.filter((one) => one.artifactType === artifactType));
  send(
    response,
    200,
    {
      'content-type': MEDIA_TYPE_OF_FORM['oci-index'],
      'content-length': String(body.length),
      ...(artifactType !== null && { 'oci-filters-applied': 'artifactType' }),
    },
    request.method === 'HEAD' ? null : body,
  );
}

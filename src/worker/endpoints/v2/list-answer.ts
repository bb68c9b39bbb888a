import { MEDIA_TYPES } from '../../../registry/media-type.ts';
import { spanOf } from '../../../registry/sorted-list.ts';
import { type Answer, type AnswerBody, entityTagOf } from '../../gateway/answer.ts';
import { readBytes } from '../../../bucket/read-object.ts';
import { type ListPage, namesOfPage, type OpenList } from '../../../bucket/list-page.ts';

/** The JSON around the names of a list, and the path of the next page. */
export interface ListShape {
  readonly before: string;
  readonly after: string;
  readonly nextPath: (last: string) => string;
}

/** Answers with a list or a page of it. The complete list is streamed as it is stored, without parsing its JSON. */
export async function answerList(list: OpenList, page: ListPage, head: boolean, shape: ListShape): Promise<Answer> {
  if (page.n !== null || page.last !== null) {
    const { names, more } = await namesOfPage(list, page);
    return answerNames(names, more, shape);
  }
  const encoder = new TextEncoder();
  const before = encoder.encode(shape.before);
  const after = encoder.encode(shape.after);
  const { leaves } = list.header;
  const length = before.length + spanOf(list.header, leaves, 'names').length + after.length;
  const names = head ? null : await list.streamOf(leaves, 'names');
  return {
    kind: 'found',
    representation: { contentType: MEDIA_TYPES.json, length, etag: `"${list.etag}"` },
    body: names === null ? null : between(before, names, after, length),
    vary: [],
  };
}

/** Answers with the names of one page. */
export async function answerNames(
  names: readonly string[],
  more: boolean,
  { before, after, nextPath }: ListShape,
): Promise<Answer> {
  const body = new TextEncoder().encode(`${before}${names.map((name) => JSON.stringify(name)).join(',')}${after}`);
  const last = names.at(-1);
  return {
    kind: 'found',
    representation: {
      contentType: MEDIA_TYPES.json,
      length: body.length,
      etag: await entityTagOf(body),
      ...(more && last !== undefined && { link: `<${nextPath(last)}>; rel="next"` }),
    },
    body,
    vary: [],
  };
}

function between(
  before: Uint8Array,
  middle: Uint8Array | ReadableStream<Uint8Array>,
  after: Uint8Array,
  length: number,
): AnswerBody {
  if (middle instanceof Uint8Array) {
    const whole = new Uint8Array(length);
    whole.set(before);
    whole.set(middle, before.length);
    whole.set(after, before.length + middle.length);
    return whole;
  }
  const { readable, writable } = new FixedLengthStream(length);
  const writer = writable.getWriter();
  const pump = async (): Promise<void> => {
    await writer.write(before);
    for await (const chunk of readBytes(middle).pass(length - before.length - after.length)) await writer.write(chunk);
    await writer.write(after);
    await writer.close();
  };
  // An error aborts the stream and the connection, so that the client notices the missing bytes.
  pump().catch((error: unknown) => writer.abort(error).catch(() => undefined));
  return readable;
}

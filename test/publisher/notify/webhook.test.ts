/** Messages about changed tags: what they are, how they are signed, and what becomes of failures. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { createNotifier } from '../../../src/publisher/notify/notifier.ts';
import {
  headersOf,
  messageOf,
  parseSecrets,
  type TagChange,
  TAGS_IN_MESSAGE,
} from '../../../src/publisher/notify/webhook.ts';
import { digestOf, nameOf, tagOf } from '../gc-bucket.ts';
import { type Receiver, startReceiver } from './receiver.ts';

/** The example of the Standard Webhooks libraries, which all of them test ("sign function works"). */
const EXAMPLE = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  seconds: 1_614_265_330,
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};

const SECRETS = parseSecrets(EXAMPLE.secret) ?? [];
const DIGEST = digestOf(new Uint8Array(1));
const change = (tag: string): TagChange => ({ name: nameOf('a/b'), tag: tagOf(tag), change: 'new', digests: [DIGEST] });

describe('a message', () => {
  it('is signed as the specification has it', () => {
    expect(headersOf(EXAMPLE, SECRETS, new Date(EXAMPLE.seconds * 1000 + 999))).toEqual({
      'webhook-id': EXAMPLE.id,
      'webhook-timestamp': String(EXAMPLE.seconds),
      'webhook-signature': EXAMPLE.signature,
    });
  });

  it('has a signature for each secret', () => {
    const other = Buffer.alloc(32, 7);
    const both = headersOf(EXAMPLE, [...SECRETS, other], new Date(EXAMPLE.seconds * 1000))['webhook-signature'];
    const own = headersOf(EXAMPLE, [other], new Date(EXAMPLE.seconds * 1000))['webhook-signature'];
    expect(both).toBe(`${EXAMPLE.signature} ${own ?? ''}`);
  });

  it('names each tag, what happened, and what it points to', () => {
    const deleted = { name: nameOf('a/b'), tag: tagOf('2'), change: 'deleted', digests: [] } as const;
    expect(JSON.parse(messageOf([change('1'), deleted], new Date(0)))).toEqual({
      type: 'tags.changed',
      timestamp: '1970-01-01T00:00:00.000Z',
      data: {
        tags: [
          { name: 'a/b', tag: '1', change: 'new', digests: [DIGEST] },
          { name: 'a/b', tag: '2', change: 'deleted', digests: [] },
        ],
      },
    });
  });
});

describe('a secret', () => {
  const whsec = (bytes: number): string => `whsec_${Buffer.alloc(bytes, 1).toString('base64')}`;

  it.each([
    [whsec(24), 1],
    [whsec(32), 1],
    [whsec(64), 1],
    [whsec(32).replace(/=+$/, ''), 1],
    [` ${whsec(24)}  ${whsec(32)} `, 2],
  ])('is read: %s', (text, count) => {
    expect(parseSecrets(text)).toHaveLength(count);
  });

  it.each(['', 'whsec_', 'secret', whsec(23), whsec(65), whsec(32).replace('whsec_', ''), `${whsec(32)}!`, 'whsec_A'])(
    'is refused: %s',
    (text) => {
      expect(parseSecrets(text)).toBeNull();
    },
  );
});

describe('a notifier', () => {
  /** A notifier of a receiver, which waits for nothing, with its warnings and pauses. */
  async function start(
    policy: { readonly attempts?: number; readonly timeout?: number } = {},
  ): Promise<{ receiver: Receiver; warnings: string[]; pauses: number[]; send: (...tags: string[]) => Promise<void> }> {
    const receiver = await startReceiver();
    onTestFinished(() => receiver.close());
    const warnings: string[] = [];
    const pauses: number[] = [];
    const notifier = createNotifier(
      { url: new URL(receiver.url), secrets: SECRETS },
      (warning) => warnings.push(warning),
      {
        policy: { attempts: 4, backoff: 500, maxBackoff: 4_000, maxRetryAfter: 10_000, timeout: 10_000, ...policy },
        wait: (milliseconds) => Promise.resolve(pauses.push(milliseconds)),
      },
    );
    return { receiver, warnings, pauses, send: (...tags) => notifier.send(tags.map(change)) };
  }

  it('sends one message for some tags, and none for none', async () => {
    const { receiver, warnings, send } = await start();
    await send();
    expect(receiver.received).toEqual([]);
    await send('1', '2');
    const [{ headers, body, path } = expect.fail(), ...others] = receiver.received;
    expect([others, warnings, path]).toEqual([[], [], '/hook?key=in-the-address']);
    expect(headers['content-type']).toBe('application/json');
    const [id, seconds] = [String(headers['webhook-id']), Number(headers['webhook-timestamp'])];
    expect(headers).toMatchObject(headersOf({ id, body }, SECRETS, new Date(seconds * 1000)));
    expect(Math.abs(Date.now() / 1000 - seconds)).toBeLessThan(60);
  });

  it('divides many tags into several messages', async () => {
    const { receiver, send } = await start();
    await send(...Array.from({ length: TAGS_IN_MESSAGE + 1 }, (_, at) => `t${String(at)}`));
    const counts = receiver.received.map(
      ({ body }) => (JSON.parse(body) as { data: { tags: unknown[] } }).data.tags.length,
    );
    expect(counts).toEqual([TAGS_IN_MESSAGE, 1]);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(2);
  });

  it.each([500, 503, 429, 408, 'cut'] as const)('repeats a message after %s, with the same id', async (answer) => {
    const { receiver, warnings, pauses, send } = await start();
    receiver.answers.push(answer);
    await send('1');
    expect([warnings, pauses.length]).toEqual([[], 1]);
    expect(new Set(receiver.received.map(({ headers, body }) => `${String(headers['webhook-id'])} ${body}`)).size).toBe(
      1,
    );
    expect(receiver.received).toHaveLength(2);
  });

  it('waits as long as the receiver asks for, and not for minutes', async () => {
    const { receiver, pauses, warnings, send } = await start();
    receiver.answers.push({ status: 503, headers: { 'retry-after': '3' } });
    await send('1');
    expect(pauses[0]).toBeGreaterThanOrEqual(3_000);
    receiver.answers.push({ status: 503, headers: { 'retry-after': '600' } });
    await send('1');
    expect([pauses.length, warnings.length]).toEqual([1, 1]);
  });

  it.each([400, 401, 404, 410, 302])('does not repeat a message that is refused with %s', async (status) => {
    const { receiver, warnings, send } = await start();
    receiver.answers.push({ status, headers: { location: '/elsewhere' } });
    await send('1');
    expect(receiver.received).toHaveLength(1);
    expect(warnings).toEqual([
      `${new URL(receiver.url).host} was not notified of 1 changed tag: it answered ${String(status)}. ` +
        'The tags are changed all the same.',
    ]);
  });

  it('gives up after four attempts, with a warning that contains no secret, and sends no further message', async () => {
    const { receiver, warnings, send } = await start();
    receiver.answers.push(500, 500, 500, 500);
    await send(...Array.from({ length: TAGS_IN_MESSAGE + 20 }, (_, at) => `t${String(at)}`));
    expect(receiver.received).toHaveLength(4);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('was not notified of 120 changed tags: it answered 500, in 4 attempts');
    expect(warnings[0]).not.toContain('in-the-address');
  });

  it('waits for no answer longer than its limit', async () => {
    const { receiver, warnings, send } = await start({ attempts: 1, timeout: 20 });
    receiver.answers.push('none');
    await send('1');
    expect(warnings[0]).toContain('there was no answer within 0.02 s. ');
  });

  it('fails nothing where nobody listens', async () => {
    const { receiver, warnings, send } = await start();
    await receiver.close();
    await send('1');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('it cannot be reached (ECONNREFUSED), in 4 attempts');
  });
});

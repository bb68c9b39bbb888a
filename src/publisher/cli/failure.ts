/** How a failure is reported: what happened, why, what to do, and the exit code. */
import { styleText } from 'node:util';
import { CommandError, EXIT } from './errors.ts';
import { InterruptedError } from './interrupt.ts';
import { ImageError } from '../../bucket/image-source.ts';
import { ImmutableTagError } from '../../bucket/settings/immutable-tags.ts';
import { jsonText, plainText } from './terminal-text.ts';
import { NewerVersionError } from '../../registry/unreadable-record.ts';
import { StorageError } from '../../registry/store.ts';
import { messageOf } from '../../registry/values/error-message.ts';

/** A failure as data: `--json` prints it as `{"error": …}`. */
export interface Failure {
  /** `USAGE`, `FAILED`, `INTERRUPTED`, a storage code, or `INTERNAL` for a fault in gantry. */
  readonly code: string;
  readonly message: string;
  /** Causes, outermost first. */
  readonly why: readonly string[];
  readonly hint: string | undefined;
  readonly exitCode: number;
  /** Set only for a fault in gantry. */
  readonly stack: string | undefined;
}

/** Shells report 128 plus the number of the signal that ended a program. */
const INTERRUPTED = { SIGINT: 130, SIGTERM: 143 } as const;

/** What to do about a storage failure. */
const STORAGE_HINTS = {
  STORAGE_UNAVAILABLE: 'Try again: uploaded blobs are not sent again.',
  STORAGE_DENIED: 'Check the credentials, and whether they allow writing to this bucket.',
  STORAGE_FULL: 'Free some space and try again: uploaded blobs are not sent again.',
  STORAGE_CORRUPT: 'Check the bucket with: gantry verify',
  DIGEST_MISMATCH: 'The data was damaged in transit: try again.',
} as const satisfies Record<StorageError['code'], string>;

/** Reads any thrown value. */
export function describeFailure(error: unknown): Failure {
  const interrupted = findInterrupt(error);
  if (interrupted !== undefined) {
    return {
      code: 'INTERRUPTED',
      message: 'interrupted; each tag is either unchanged or completely updated',
      why: [],
      hint: 'Run the same command again to continue: uploaded blobs are not sent again.',
      exitCode: interrupted.signal === 'SIGTERM' ? INTERRUPTED.SIGTERM : INTERRUPTED.SIGINT,
      stack: undefined,
    };
  }
  if (error instanceof CommandError || error instanceof ImageError || error instanceof ImmutableTagError) {
    const usage = error instanceof CommandError && error.kind === 'usage';
    return {
      code: usage ? 'USAGE' : 'FAILED',
      message: error.message,
      why: causesOf(error),
      hint: error.hint,
      exitCode: usage ? EXIT.usage : EXIT.failed,
      stack: undefined,
    };
  }
  if (error instanceof NewerVersionError) {
    return {
      code: 'FAILED',
      message: error.message,
      why: causesOf(error),
      hint: 'Use the newest gantry: npm install --global gantry-registry@latest',
      exitCode: EXIT.failed,
      stack: undefined,
    };
  }
  if (error instanceof StorageError) {
    return {
      code: error.code,
      message: error.message,
      why: causesOf(error),
      hint: STORAGE_HINTS[error.code],
      exitCode: EXIT.failed,
      stack: undefined,
    };
  }
  return {
    code: 'INTERNAL',
    message: messageOf(error),
    why: causesOf(error),
    hint: 'This is a fault in gantry. Please report it with the lines below.',
    exitCode: EXIT.failed,
    stack: error instanceof Error ? error.stack : undefined,
  };
}

/** A failure as text, in lines for standard error. */
export function failureLines({ message, why, hint, stack }: Failure): string[] {
  const label = (style: 'red' | 'dim', text: string): string => styleText(style, text, { stream: process.stderr });
  return [
    `${label('red', 'error:')} ${plainText(message)}`,
    ...why.map((cause) => `${label('dim', '  why:')} ${plainText(cause)}`),
    ...(hint === undefined ? [] : [`${label('dim', '   do:')} ${plainText(hint)}`]),
    ...(stack?.split('\n').map(plainText) ?? []),
  ];
}

/** A failure as one line of JSON. */
export function failureJson({ code, message, why, hint }: Failure): string {
  return jsonText({
    error: { code, message, ...(why.length === 0 ? {} : { why }), ...(hint === undefined ? {} : { hint }) },
  });
}

function causesOf(error: unknown): string[] {
  const causes: string[] = [];
  let cause = error instanceof Error ? error.cause : undefined;
  const message = error instanceof Error ? error.message : '';
  while (cause !== undefined && causes.length < 4) {
    const text = cause instanceof Error ? cause.message : typeof cause === 'string' ? cause : '';
    // Many messages already quote their cause.
    if (text !== '' && !message.includes(text) && !causes.includes(text)) causes.push(text);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return causes;
}

function findInterrupt(error: unknown): InterruptedError | undefined {
  for (let one: unknown = error; one instanceof Error; one = one.cause) if (one instanceof InterruptedError) return one;
  return undefined;
}

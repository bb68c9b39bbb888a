import type { PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';

/**
 * Sets what the signature says about the body: its hex sha256, which storage then checks, or `UNSIGNED-PAYLOAD` (SigV4, "x-amz-content-sha256").
 * The client would otherwise hash the body itself, also where its hash is known.
 */
export function withPayloadHash<T extends PutObjectCommand | UploadPartCommand>(command: T, hash: string): T {
  (command as PutObjectCommand).middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = hash;
      return next(args);
    },
    { step: 'build', name: 'payloadHash', override: true },
  );
  return command;
}

/** Records of unfinished multipart uploads, so that their parts are not sent again. */
import type { S3Client } from './s3/client.ts';
import { listParts, listUploads } from './s3/requests.ts';
import { readFailure } from './s3-failure.ts';

/** A part in storage. `md5` is in hex; undefined if it is not compared. */
export interface SentPart {
  readonly number: number;
  readonly size: number;
  readonly md5: string | undefined;
  readonly etag: string;
}

/** An upload that can be resumed. */
export interface UnfinishedUpload {
  readonly uploadId: string;
  readonly parts: readonly SentPart[];
}

/** Updates the record of one upload. */
export interface UploadNotes {
  sent(part: SentPart): Promise<void>;
  /** The upload was completed or aborted. */
  ended(): Promise<void>;
}

/** The records. Keys are those of storage, prefix included. */
export interface UnfinishedUploads {
  /** Whether the records depend on notes about each part, MD5 included. */
  readonly keepsNotes: boolean;
  /** An upload of the key that no other process is known to continue; null if there is none. */
  find(
    key: string,
    request: <T>(send: (client: S3Client) => Promise<T>) => Promise<T>,
  ): Promise<UnfinishedUpload | null>;
  /** Starts the record of an upload. */
  note(key: string, upload: UnfinishedUpload): Promise<UploadNotes>;
}

const NO_NOTES: UploadNotes = { sent: () => Promise.resolve(), ended: () => Promise.resolve() };

/**
 * Uses the records of storage: ListMultipartUploads and ListParts, where a part's ETag is its MD5 (R2 since June 2023,
 * S3 without KMS). A part with another ETag is sent again.
 */
export function listedUploads(bucket: string): UnfinishedUploads {
  return {
    keepsNotes: false,
    note: () => Promise.resolve(NO_NOTES),
    find: async (key, request) => {
      const uploads = await request(async (client) => {
        try {
          return await listUploads(client, { bucket, key });
        } catch (error) {
          // Storage without this request: every upload starts from the beginning.
          if (readFailure(error).status === 501) return [];
          throw error;
        }
      });
      const own = uploads
        .filter((upload) => upload.key === key)
        .sort((a, b) => b.initiated.getTime() - a.initiated.getTime());
      const uploadId = own[0]?.uploadId;
      if (uploadId === undefined) return null;
      const parts: SentPart[] = [];
      let marker: string | undefined;
      do {
        const page = await request((client) => listParts(client, { bucket, key, uploadId, marker }));
        parts.push(...page.parts.map((part) => ({ ...part, md5: part.etag })));
        marker = page.next;
      } while (marker !== undefined);
      return { uploadId, parts };
    },
  };
}

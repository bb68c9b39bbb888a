/** Multipart uploads that ended half way: who remembers them, so that what was sent is not sent again. */
import { ListMultipartUploadsCommand, ListPartsCommand, type S3Client } from '@aws-sdk/client-s3';
import { unquoted } from './s3-messages.ts';
import { readFailure } from './s3-failure.ts';

/** A part that storage has. `md5` in hex; undefined where nobody compares it. */
export interface SentPart {
  readonly number: number;
  readonly size: number;
  readonly md5: string | undefined;
  readonly etag: string;
}

/** An upload that can be gone on with. */
export interface UnfinishedUpload {
  readonly uploadId: string;
  readonly parts: readonly SentPart[];
}

/** Keeps the memory of one upload up to date. */
export interface UploadNotes {
  sent(part: SentPart): Promise<void>;
  /** The upload was completed or aborted. */
  ended(): Promise<void>;
}

/** The memory. Keys are those of storage, prefix included. */
export interface UnfinishedUploads {
  /** Whether it lives from what it is told of each part, MD5 included. */
  readonly keepsNotes: boolean;
  /** An upload of that key that nobody is known to be at; null if there is none. */
  find(
    key: string,
    request: <T>(send: (client: S3Client) => Promise<T>) => Promise<T>,
  ): Promise<UnfinishedUpload | null>;
  /** Begins to remember. */
  note(key: string, upload: UnfinishedUpload): Promise<UploadNotes>;
}

const NO_NOTES: UploadNotes = { sent: () => Promise.resolve(), ended: () => Promise.resolve() };

/** Storage itself remembers: ListMultipartUploads and ListParts, where a part's etag is its MD5 (R2 since June 2023, S3 without KMS). A part with another etag is sent again. */
export function listedUploads(bucket: string): UnfinishedUploads {
  return {
    keepsNotes: false,
    note: () => Promise.resolve(NO_NOTES),
    find: async (key, request) => {
      const { Uploads = [] } = await request(async (client) => {
        try {
          return await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: key }));
        } catch (error) {
          // Storage that cannot tell: every upload is a new one.
          if (readFailure(error).status === 501) return { Uploads: [] };
          throw error;
        }
      });
      const own = Uploads.filter((upload) => upload.Key === key).sort(
        (a, b) => (b.Initiated?.getTime() ?? 0) - (a.Initiated?.getTime() ?? 0),
      );
      const uploadId = own[0]?.UploadId;
      if (uploadId === undefined) return null;
      const parts: SentPart[] = [];
      let marker: string | undefined;
      do {
        const page = await request((client) =>
          client.send(
            new ListPartsCommand({
              Bucket: bucket,
              Key: key,
              UploadId: uploadId,
              ...(marker === undefined ? {} : { PartNumberMarker: marker }),
            }),
          ),
        );
        for (const { PartNumber, Size, ETag } of page.Parts ?? []) {
          if (PartNumber === undefined || Size === undefined || ETag === undefined) continue;
          const etag = unquoted(ETag);
          parts.push({ number: PartNumber, size: Size, md5: etag, etag });
        }
        marker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined;
      } while (marker !== undefined);
      return { uploadId, parts };
    },
  };
}

/** What a manifest points at: in `src/manifest`, since the Worker reads it too where it fetches images from an upstream. */
export * from '../../manifest/links.ts';

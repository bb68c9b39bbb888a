/** What a tag list says of a tag: in `src/manifest`, since the Worker writes tags too where it fetches images from an upstream. */
export * from '../../manifest/tag-summary.ts';

/**
 * Docker's own structs for what a schema 1 holds, field by field in the order in which Docker writes them
 * (moby 20.10: `image`, `api/types/container`; docker/distribution 2.8: `manifest/schema1`).
 */
import {
  field,
  goBoolean,
  goInteger,
  goMap,
  goPointer,
  goSlice,
  goString,
  goStruct,
  goTime,
  type GoType,
  goWords,
  omitEmpty,
} from './go-types.ts';

/** `map[string]struct{}`: a set of strings. */
const goSet = goMap(goStruct({}));

/** `container.HealthConfig`. */
const HEALTH_CONFIG = goStruct({
  Test: omitEmpty(goSlice(goString)),
  Interval: omitEmpty(goInteger),
  Timeout: omitEmpty(goInteger),
  StartPeriod: omitEmpty(goInteger),
  Retries: omitEmpty(goInteger),
});

/** `container.Config`. */
const CONTAINER_CONFIG = goStruct({
  Hostname: field(goString),
  Domainname: field(goString),
  User: field(goString),
  AttachStdin: field(goBoolean),
  AttachStdout: field(goBoolean),
  AttachStderr: field(goBoolean),
  ExposedPorts: omitEmpty(goSet),
  Tty: field(goBoolean),
  OpenStdin: field(goBoolean),
  StdinOnce: field(goBoolean),
  Env: field(goSlice(goString)),
  Cmd: field(goWords),
  Healthcheck: omitEmpty(goPointer(HEALTH_CONFIG)),
  ArgsEscaped: omitEmpty(goBoolean),
  Image: field(goString),
  Volumes: field(goSet),
  WorkingDir: field(goString),
  Entrypoint: field(goWords),
  NetworkDisabled: omitEmpty(goBoolean),
  MacAddress: omitEmpty(goString),
  OnBuild: field(goSlice(goString)),
  Labels: field(goMap(goString)),
  StopSignal: omitEmpty(goString),
  StopTimeout: omitEmpty(goPointer(goInteger)),
  Shell: omitEmpty(goWords),
});

const V1_FIELDS = {
  id: omitEmpty(goString),
  parent: omitEmpty(goString),
  comment: omitEmpty(goString),
  created: field(goTime),
  container: omitEmpty(goString),
  container_config: field(CONTAINER_CONFIG),
  docker_version: omitEmpty(goString),
  author: omitEmpty(goString),
  config: omitEmpty(goPointer(CONTAINER_CONFIG)),
  architecture: omitEmpty(goString),
  variant: omitEmpty(goString),
  os: omitEmpty(goString),
  Size: omitEmpty(goInteger),
} as const;

/** `image.V1Image`: what a `v1Compatibility` text is read as. */
export const V1_IMAGE = goStruct(V1_FIELDS);

/** A `v1Compatibility` text as it was read. */
export type V1Image = typeof V1_IMAGE extends GoType<infer T> ? T : never;

/** `image.RootFS`. */
export const ROOT_FS = goStruct({ type: field(goString), diff_ids: omitEmpty(goSlice(goString)) });

/** `image.History`. */
export const HISTORY = goStruct({
  created: field(goTime),
  author: omitEmpty(goString),
  created_by: omitEmpty(goString),
  comment: omitEmpty(goString),
  empty_layer: omitEmpty(goBoolean),
});

/** `image.Image`: what Docker reads an image config as before it stores it. */
export const IMAGE = goStruct({
  ...V1_FIELDS,
  rootfs: omitEmpty(goPointer(ROOT_FS)),
  history: omitEmpty(goSlice(HISTORY)),
  'os.version': omitEmpty(goString),
  'os.features': omitEmpty(goSlice(goString)),
});

/** What of a `v1Compatibility` text says that its layer is the empty one. */
export const THROWAWAY = goStruct({ throwaway: omitEmpty(goBoolean) });

/** `schema1.Manifest`. */
export const SCHEMA1 = goStruct({
  schemaVersion: field(goInteger),
  mediaType: omitEmpty(goString),
  name: field(goString),
  tag: field(goString),
  architecture: field(goString),
  fsLayers: field(goSlice(goStruct({ blobSum: field(goString) }))),
  history: field(goSlice(goStruct({ v1Compatibility: field(goString) }))),
});

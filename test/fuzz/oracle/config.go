package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/docker/distribution/manifest/schema1"
	"github.com/docker/docker/image"
	v1 "github.com/docker/docker/image/v1"
	"github.com/docker/docker/layer"
	"github.com/opencontainers/go-digest"
)

// config makes the image config of a schema 1 payload as moby 20.10 does when it pulls one on Linux: the steps of
// pullSchema1 (distribution/pull_v2.go, which Debian does not package) around moby's own image/v1 and image. A layer's
// diff ID is the digest of its blobSum's text.
func config(payload []byte) ([]byte, error) {
	var manifest schema1.Manifest
	if err := json.Unmarshal(payload, &manifest); err != nil {
		return nil, err
	}
	if manifest.SchemaVersion != 1 {
		return nil, fmt.Errorf("unsupported schema version %d", manifest.SchemaVersion)
	}
	if len(manifest.FSLayers) == 0 || len(manifest.FSLayers) != len(manifest.History) {
		return nil, errors.New("no layers, or as many as history entries")
	}
	kept, err := distinct(manifest.History)
	if err != nil {
		return nil, err
	}
	rootFS := image.NewRootFS()
	var history []image.History
	for at := len(kept) - 1; at >= 0; at-- {
		blobSum := manifest.FSLayers[kept[at]].BlobSum
		if err := blobSum.Validate(); err != nil {
			return nil, err
		}
		text := []byte(manifest.History[kept[at]].V1Compatibility)
		var mark struct {
			ThrowAway bool `json:"throwaway,omitempty"`
		}
		if err := json.Unmarshal(text, &mark); err != nil {
			return nil, err
		}
		entry, err := v1.HistoryFromConfig(text, mark.ThrowAway)
		if err != nil {
			return nil, err
		}
		history = append(history, entry)
		if !mark.ThrowAway {
			rootFS.Append(layer.DiffID(digest.FromString(string(blobSum))))
		}
	}
	made, err := v1.MakeConfigFromV1Config([]byte(manifest.History[kept[0]].V1Compatibility), rootFS, history)
	if err != nil {
		return nil, err
	}
	return made, storable(made)
}

// distinct gives the places of the entries that stay once those with the id of the entry below are gone (what
// fixManifestLayers does), newest first.
func distinct(history []schema1.History) ([]int, error) {
	images := make([]image.V1Image, len(history))
	for at, entry := range history {
		if err := json.Unmarshal([]byte(entry.V1Compatibility), &images[at]); err != nil {
			return nil, err
		}
		if err := v1.ValidateID(images[at].ID); err != nil {
			return nil, err
		}
	}
	last := len(images) - 1
	if images[last].Parent != "" {
		return nil, errors.New("invalid parent ID in the base layer of the image")
	}
	seen := map[string]bool{}
	before := ""
	for _, one := range images {
		if one.ID != before && seen[one.ID] {
			return nil, fmt.Errorf("ID %s appears multiple times in manifest", one.ID)
		}
		before = one.ID
		seen[before] = true
	}
	var kept []int
	for at, one := range images {
		if at < last && one.ID == images[at+1].ID {
			continue
		}
		if at < last && one.Parent != images[at+1].ID {
			return nil, fmt.Errorf("invalid parent ID: expected %s, got %s", images[at+1].ID, one.Parent)
		}
		kept = append(kept, at)
	}
	return kept, nil
}

// storable says why Docker's image store refuses a config (image.Store's Create), if it does.
func storable(config []byte) error {
	made, err := image.NewFromJSON(config)
	if err != nil {
		return err
	}
	layers := 0
	for _, entry := range made.History {
		if !entry.EmptyLayer {
			layers++
		}
	}
	if layers > len(made.RootFS.DiffIDs) {
		return errors.New("too many non-empty layers in History section")
	}
	return nil
}

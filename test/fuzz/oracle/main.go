// The judge of our schema 1: docker/distribution's own builder, moby's own reader and libtrust, asked over standard
// input and output, one answer a question.
//
// A question is a byte that says what is asked, and fields of a 32-bit big-endian length and that many bytes each:
//
//	'b' config, reference (JSON: {"name", "tag", "layers"})  build: the payload
//	'v' signed document                                      verify: the payload
//	'c' payload                                              the image config that moby makes of it
//
// An answer is a byte, 0 for a result and 1 for a refusal, and one field: the result, or the reason.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/docker/distribution"
	"github.com/docker/distribution/manifest/schema1"
	"github.com/docker/distribution/reference"
	"github.com/docker/libtrust"
	"github.com/opencontainers/go-digest"
)

// blobs takes the empty layer, which is all that the builder stores.
type blobs struct{ distribution.BlobService }

func (blobs) Stat(context.Context, digest.Digest) (distribution.Descriptor, error) {
	return distribution.Descriptor{}, distribution.ErrBlobUnknown
}

func (blobs) Put(_ context.Context, _ string, content []byte) (distribution.Descriptor, error) {
	return distribution.Descriptor{Digest: digest.FromBytes(content), Size: int64(len(content))}, nil
}

type question struct {
	Name   string
	Tag    string
	Layers []digest.Digest
}

func build(key libtrust.PrivateKey, config, rest []byte) (payload []byte, err error) {
	// A config without rootfs makes the builder panic; the registry drops the connection then.
	defer func() {
		if reason := recover(); reason != nil {
			payload, err = nil, fmt.Errorf("panic: %v", reason)
		}
	}()
	var q question
	if err := json.Unmarshal(rest, &q); err != nil {
		log.Fatal(err)
	}
	named, err := reference.WithName(q.Name)
	if err == nil && q.Tag != "" {
		named, err = reference.WithTag(named, q.Tag)
	}
	if err != nil {
		log.Fatal(err)
	}
	builder := schema1.NewConfigManifestBuilder(blobs{}, key, named, config)
	for _, layer := range q.Layers {
		if err := builder.AppendReference(distribution.Descriptor{Digest: layer}); err != nil {
			return nil, err
		}
	}
	manifest, err := builder.Build(context.Background())
	if err != nil {
		return nil, err
	}
	return manifest.(*schema1.SignedManifest).Canonical, nil
}

func verify(document []byte) ([]byte, error) {
	signature, err := libtrust.ParsePrettySignature(document, "signatures")
	if err != nil {
		return nil, err
	}
	if _, err := signature.Verify(); err != nil {
		return nil, err
	}
	return signature.Payload()
}

func field(in io.Reader) []byte {
	var length uint32
	if err := binary.Read(in, binary.BigEndian, &length); err != nil {
		log.Fatal(err)
	}
	bytes := make([]byte, length)
	if _, err := io.ReadFull(in, bytes); err != nil {
		log.Fatal(err)
	}
	return bytes
}

func main() {
	key, err := libtrust.GenerateECP256PrivateKey()
	if err != nil {
		log.Fatal(err)
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		asked, err := in.ReadByte()
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		var answer []byte
		switch asked {
		case 'b':
			config := field(in)
			answer, err = build(key, config, field(in))
		case 'v':
			answer, err = verify(field(in))
		case 'c':
			answer, err = config(field(in))
		default:
			log.Fatalf("unknown question %q", asked)
		}
		status := byte(0)
		if err != nil {
			status, answer = 1, []byte(err.Error())
		}
		head := make([]byte, 5)
		head[0] = status
		binary.BigEndian.PutUint32(head[1:], uint32(len(answer)))
		out.Write(head)
		out.Write(answer)
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				log.Fatal(err)
			}
		}
	}
}

package openapi

import "testing"

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		read()
	}
}

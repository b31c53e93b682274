package main

// This file is a Prometheus in memory: it scrapes, keeps and answers queries
// with Prometheus' own parser and engine.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

const (
	scrapeEvery = 200 * time.Millisecond
	// rateInterval stands for $__rate_interval: many scrapes.
	rateInterval = "10s"
	lookback     = 5 * time.Second
)

// store keeps what was scraped of one target.
type store struct {
	series      map[uint64]*series
	began, last time.Time
	exemplars   []exemplar.Exemplar
	engine      *promql.Engine
	parser      parser.Parser
}

type series struct {
	labels labels.Labels
	points []promql.FPoint
}

func newStore() *store {
	p := parser.NewParser(parser.Options{})
	return &store{
		series: map[uint64]*series{},
		parser: p,
		engine: promql.NewEngine(promql.EngineOpts{
			MaxSamples: 10_000_000, Timeout: time.Minute, LookbackDelta: lookback, Parser: p}),
	}
}

// scrapeUntil scrapes url, and once more when done is closed.
func (s *store) scrapeUntil(ctx context.Context, done <-chan struct{}, over http.RoundTripper, url string) error {
	tick := time.NewTicker(scrapeEvery)
	defer tick.Stop()
	for last := false; ; {
		body, contentType, err := get(ctx, over, url)
		if err == nil {
			err = s.add(body, contentType, time.Now())
		}
		if err != nil {
			return fmt.Errorf("scraping %s: %w", url, err)
		}
		if last {
			return nil
		}
		select {
		case <-tick.C:
		case <-done:
			last = true
		}
	}
}

// add keeps one scrape. As in Prometheus, each series gets the labels job and
// instance, and one that is there no longer ends.
func (s *store) add(body []byte, contentType string, now time.Time) error {
	p, err := textparse.New(body, contentType, nil, textparse.ParserOptions{})
	if err != nil {
		return err
	}
	if s.began.IsZero() {
		s.began = now
	}
	s.last = now
	t := now.UnixMilli()
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var l labels.Labels
		p.Labels(&l)
		b := labels.NewBuilder(l)
		b.Set("job", "directory-sync").Set("instance", "127.0.0.1:9464")
		l = b.Labels()
		one := s.series[l.Hash()]
		if one == nil {
			one = &series{labels: l}
			s.series[l.Hash()] = one
		}
		_, _, v := p.Series()
		one.points = append(one.points, promql.FPoint{T: t, F: v})
		var e exemplar.Exemplar
		if p.Exemplar(&e) {
			s.exemplars = append(s.exemplars, e)
		}
	}
	stale := math.Float64frombits(value.StaleNaN)
	for _, one := range s.series {
		if last := one.points[len(one.points)-1]; last.T < t && !value.IsStaleNaN(last.F) {
			one.points = append(one.points, promql.FPoint{T: t, F: stale})
		}
	}
	return nil
}

// matching returns the series that the matchers choose, in order.
func (s *store) matching(matchers []*labels.Matcher) []*series {
	var found []*series
	for _, one := range s.series {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(one.labels.Get(m.Name)) }) {
			found = append(found, one)
		}
	}
	slices.SortFunc(found, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	return found
}

// Querier makes a store a storage.Queryable.
func (s *store) Querier(int64, int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		return &seriesSet{found: s.matching(matchers)}
	}}, nil
}

// seriesSet goes through series, one by one.
type seriesSet struct {
	found []*series
	at    *series
}

func (s *seriesSet) Next() bool {
	if len(s.found) == 0 {
		return false
	}
	s.at, s.found = s.found[0], s.found[1:]
	return true
}

func (s *seriesSet) At() storage.Series {
	return promql.NewStorageSeries(promql.Series{Metric: s.at.labels, Floats: s.at.points})
}
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

// query evaluates an expression over all the time that was scraped, the moment
// of the last scrape included.
func (s *store) query(ctx context.Context, expr string) (promql.Matrix, error) {
	steps := s.last.Sub(s.began) / scrapeEvery
	q, err := s.engine.NewRangeQuery(ctx, s, nil, expr, s.last.Add(-steps*scrapeEvery), s.last, scrapeEvery)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	matrix, err := result.Matrix()
	if err != nil {
		return nil, err
	}
	matrix = slices.Clone(matrix)
	for i := range matrix { // the engine takes its points back on Close
		matrix[i].Floats = slices.Clone(matrix[i].Floats)
	}
	return matrix, nil
}

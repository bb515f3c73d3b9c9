//! Metrics as Prometheus reads them, in its text format 0.0.4.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text},
    metrics::{MetricType, exemplar::Exemplar},
    registry::Registry,
};

use super::histogram::{Histogram, Observed};

/// A metric with its values by labels.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    samples: Vec<(Vec<(&'static str, String)>, Sample)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sample {
    Number(f64),
    Count(u64),
    Whole(i64),
    Observed(Box<ObservedSample>),
}

/// Of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ObservedSample(Observed);

impl From<&AtomicU64> for Sample {
    fn from(count: &AtomicU64) -> Self {
        Self::Count(count.load(Relaxed))
    }
}

impl From<u64> for Sample {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Sample {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<i64> for Sample {
    fn from(value: i64) -> Self {
        Self::Whole(value)
    }
}

impl From<i32> for Sample {
    fn from(value: i32) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<&Histogram> for Sample {
    fn from(histogram: &Histogram) -> Self {
        Self::Observed(Box::new(ObservedSample(histogram.observed())))
    }
}

impl Family {
    /// What only grows. Its name gets `_total`.
    pub(crate) fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::Counter, samples: Vec::new() }
    }

    pub(crate) fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::Gauge, samples: Vec::new() }
    }

    pub(crate) fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::Histogram, samples: Vec::new() }
    }

    /// A value, by labels of which there must be few.
    #[must_use]
    pub(crate) fn with(mut self, labels: &[(&'static str, &str)], value: impl Into<Sample>) -> Self {
        self.samples.push((labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), value.into()));
        self
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, self.kind)?;
        for (labels, sample) in &self.samples {
            if labels.is_empty() {
                self.encode_sample(&mut metric, sample)?;
            } else {
                self.encode_sample(&mut metric.encode_family(labels)?, sample)?;
            }
        }
        Ok(())
    }

    fn encode_sample(&self, metric: &mut MetricEncoder<'_>, sample: &Sample) -> fmt::Result {
        const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;
        match (self.kind, sample) {
            (MetricType::Counter, Sample::Count(count)) => metric.encode_counter(count, NO_EXEMPLAR),
            (MetricType::Counter, Sample::Number(value)) => metric.encode_counter(value, NO_EXEMPLAR),
            (_, Sample::Observed(observed)) => {
                let Observed { sum, count, buckets } = &observed.0;
                metric.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
            }
            (_, Sample::Count(count)) => metric.encode_gauge(count),
            (_, Sample::Number(value)) => metric.encode_gauge(value),
            (_, Sample::Whole(value)) => metric.encode_gauge(value),
        }
    }
}

/// What is shown at `/metrics`.
#[derive(Debug)]
pub(crate) struct Page(pub Vec<Family>);

impl Page {
    pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    pub(crate) fn into_text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().filter(|family| !family.samples.is_empty()).try_for_each(|family| family.encode(&mut encoder))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn counters_gauges_and_histograms_read_as_prometheus_wants_them() {
        let duration = Histogram::default();
        duration.observe(Duration::from_millis(2));
        duration.observe(Duration::from_mins(1));
        let families = vec![
            Family::counter("a", "Of a").with(&[("b", "c\"d\n")], 2_u64),
            Family::gauge("e", "Of e").with(&[], 1.5),
            Family::histogram("f", "Of f").with(&[("g", "h")], &duration),
            Family::gauge("empty", "Not told"),
        ];
        let text = Page(families).into_text().unwrap();
        for line in [
            "# TYPE a_total counter",
            "a_total{b=\"c\\\"d\\n\"} 2",
            "# TYPE e gauge",
            "e 1.5",
            "f_sum{g=\"h\"} 60.002",
            "f_count{g=\"h\"} 2",
            "f_bucket{g=\"h\",le=\"0.0025\"} 1",
            "f_bucket{g=\"h\",le=\"+Inf\"} 2",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is missing:\n{text}");
        }
        assert!(!text.contains("empty"), "{text}");
    }
}

//! What this process uses of the machine, read when somebody asks. What a system does not tell is left out.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads the process's usage at each scrape.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut put = |name: &str, help: &str, metric: &dyn Metric| {
            let into = encoder.encode_descriptor(name, help, None, metric.kind())?;
            metric.put(into)
        };
        if let Some(time) = cpu_time() {
            let help = "Processor time used, user and system";
            put("mesh_process_cpu_seconds", help, &ConstCounter::new(time.as_secs_f64()))?;
        }
        let gauges = [
            ("mesh_process_resident_memory_bytes", "Memory of this process that is in RAM", resident_bytes()),
            ("mesh_process_open_fds", "Open file descriptors", entries("/proc/self/fd")),
            ("mesh_process_max_fds", "File descriptors that may be open", max_fds()),
            ("mesh_process_threads", "Threads", entries("/proc/self/task")),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                put(name, help, &ConstGauge::new(value))?;
            }
        }
        Ok(())
    }
}

/// [`EncodeMetric`] takes itself by types that cannot be named behind a reference to a trait object.
trait Metric {
    fn kind(&self) -> prometheus_client::metrics::MetricType;
    fn put(&self, into: prometheus_client::encoding::MetricEncoder<'_>) -> fmt::Result;
}

impl<M: EncodeMetric> Metric for M {
    fn kind(&self) -> prometheus_client::metrics::MetricType {
        self.metric_type()
    }

    fn put(&self, into: prometheus_client::encoding::MetricEncoder<'_>) -> fmt::Result {
        self.encode(into)
    }
}

/// The clock of this process runs on all its threads together.
fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

/// `VmRSS` of the process's status, which is in units of 1,024 bytes whatever the size of a page.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read("/proc/self/status").ok()?;
    let line = str::from_utf8(&status).ok()?.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<i64>().ok()?.checked_mul(1_024)
}

fn entries(directory: &str) -> Option<i64> {
    i64::try_from(std::fs::read_dir(directory).ok()?.count()).ok()
}

/// `None` where there is no limit.
fn max_fds() -> Option<i64> {
    i64::try_from(rustix::process::getrlimit(rustix::process::Resource::Nofile).current?).ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use crate::metrics::Metrics;

    fn value(name: &str) -> f64 {
        let body = Metrics::new().encode().unwrap();
        let line = body.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in\n{body}")).parse().unwrap()
    }

    #[test]
    fn processor_time_moves_with_work() {
        let own = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
        };
        let (before, own_before) = (value("mesh_process_cpu_seconds_total"), own());
        let digest = blake3::hash(&vec![1; 32 << 20]);
        let worked = own() - own_before;
        let moved = value("mesh_process_cpu_seconds_total") - before;
        assert!(worked > 0.0 && moved >= worked, "{digest} took {worked}, and the process says {moved}");
    }

    #[test]
    fn memory_moves_with_what_is_held() {
        let before = value("mesh_process_resident_memory_bytes");
        // Written, since an untouched page is not resident. Large beside what other tests free meanwhile.
        let held = vec![1u8; 256 << 20];
        let after = value("mesh_process_resident_memory_bytes");
        assert!(after > before + 128e6, "{before} to {after} with {} held", held.len());
    }

    #[test]
    fn descriptors_and_threads_are_counted() {
        let before = value("mesh_process_open_fds");
        let held: Vec<_> = (0..200).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let after = value("mesh_process_open_fds");
        assert!(after >= before + 100.0, "{before} to {after} with {} held", held.len());
        assert!(value("mesh_process_max_fds") >= after);

        let (send, receive) = std::sync::mpsc::channel::<()>();
        let started = value("mesh_process_threads");
        let thread = std::thread::spawn(move || receive.recv());
        assert!(started >= 1.0 && value("mesh_process_threads") >= 2.0);
        drop(send);
        assert!(thread.join().unwrap().is_err());
    }
}

//! How long something took, for people: three digits at most, or two units. What programs read are integers with the
//! unit in the key.

use std::time::Duration;

/// From the largest, in seconds.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
/// From here on whole seconds say enough.
const LONG: u128 = 60_000_000;

/// Such as `45.6 ms`, `1.23 s` or `2 min 3 s`.
pub fn length(time: Duration) -> String {
    match three_digits(time.as_micros()) {
        0 => "0 s".to_owned(),
        micros @ 1..1_000 => format!("{micros} µs"),
        micros @ 1_000..1_000_000 => format!("{} ms", fraction(micros, 3)),
        micros @ 1_000_000..LONG => format!("{} s", fraction(micros, 6)),
        LONG.. => in_two_units((time + Duration::from_millis(500)).as_secs()),
    }
}

/// Rounded before a unit is chosen, so that 59.99 s are a minute and not `60.0 s`.
fn three_digits(micros: u128) -> u128 {
    let mut step = 1;
    while micros / step >= 1_000 {
        step *= 10;
    }
    (micros + step / 2) / step * step
}

/// `micros` with its last `places` digits behind the point.
fn fraction(micros: u128, places: usize) -> String {
    let digits = format!("{micros:0>width$}", width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    match part.trim_end_matches('0') {
        "" => whole.to_owned(),
        part => format!("{whole}.{part}"),
    }
}

fn in_two_units(seconds: u64) -> String {
    let mut rest = seconds;
    let parts = UNITS.iter().map(|(unit, size)| {
        let count = rest / size;
        rest %= size;
        (count, unit)
    });
    let parts: Vec<(u64, &&str)> = parts.skip_while(|(count, _)| *count == 0).take(2).collect();
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_reads_more_than_three_digits() {
        for (micros, text) in [
            (0, "0 s"),
            (7, "7 µs"),
            (999, "999 µs"),
            (1_000, "1 ms"),
            (45_649, "45.6 ms"),
            (456_700, "457 ms"),
            (999_600, "1 s"),
            (1_234_567, "1.23 s"),
            (1_200_000, "1.2 s"),
            (10_000_000, "10 s"),
            (59_940_000, "59.9 s"),
            (59_990_000, "1 min"),
            (123_400_000, "2 min 3 s"),
            (3_600_000_000, "1 h"),
            (3_725_000_000, "1 h 2 min"),
            (90_061_000_000, "1 d 1 h"),
            (86_460_000_000, "1 d"),
        ] {
            assert_eq!(length(Duration::from_micros(micros)), text, "{micros}");
        }
    }
}

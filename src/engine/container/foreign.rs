//! Images of other machines: what dockerd warns of when a container is made of one and nobody asked for its platform.

use crate::resource::image::{ImageInfo, Platform};

/// The warning, in dockerd's words.
pub(super) fn warning(image: &ImageInfo) -> Option<String> {
    warning_on(image, &host())
}

fn warning_on(image: &ImageInfo, host: &Platform) -> Option<String> {
    let has = Platform { os: image.os.clone(), architecture: image.architecture.clone(), variant: image.variant.clone() };
    (!runs_on(&has, host)).then(|| {
        format!(
            "The requested image's platform ({has}) does not match the detected host platform ({host}) and no specific platform was requested"
        )
    })
}

/// Whether a machine runs what an image has (containerd's `platforms.Only`). What has no variant runs on all of its architecture.
fn runs_on(image: &Platform, host: &Platform) -> bool {
    let number = |platform: &Platform| platform.variant.as_deref().map_or(Some(1), |it| it.trim_start_matches('v').parse::<u32>().ok());
    image.os == host.os
        && match (host.architecture.as_str(), image.architecture.as_str()) {
            ("amd64", "386") | ("arm64", "arm") => true,
            // v8 is the first, whether that is said or not.
            ("arm64", "arm64") if matches!(image.variant.as_deref(), None | Some("v8")) => true,
            (own, other) => {
                own == other
                    && (image.variant.is_none()
                        || image.variant == host.variant
                        || number(image).is_some_and(|it| Some(it) <= number(host)))
            }
        }
}

/// This machine with the variant of its processor.
fn host() -> Platform {
    let host = Platform::host();
    Platform { variant: host.variant.clone().or_else(|| variant().map(str::to_owned)), ..host }
}

/// The level of an x86-64 processor (containerd's `archvariant`), by the features that the standard library tells of.
#[cfg(target_arch = "x86_64")]
fn variant() -> Option<&'static str> {
    macro_rules! has {
        ($($feature:tt)*) => { true $(&& std::arch::is_x86_feature_detected!($feature))* };
    }
    let second = has!("sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "cmpxchg16b");
    let third = second && has!("avx" "avx2" "bmi1" "bmi2" "f16c" "fma" "lzcnt" "movbe");
    let fourth = third && has!("avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl");
    Some(match (second, third, fourth) {
        (.., true) => "v4",
        (_, true, _) => "v3",
        (true, ..) => "v2",
        _ => "v1",
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn variant() -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_does_not_run_is_warned_of() {
        let platform = |text: &str| {
            let mut words = text.split('/').map(str::to_owned);
            let mut word = || words.next().unwrap_or_default();
            Platform { os: word(), architecture: word(), variant: Some(word()).filter(|it| !it.is_empty()) }
        };
        let check =
            |image: &str, host: &str, expect: bool| assert_eq!(runs_on(&platform(image), &platform(host)), expect, "{image} on {host}");
        check("linux/amd64", "linux/amd64/v3", true);
        check("linux/amd64/v2", "linux/amd64/v3", true);
        check("linux/amd64/v4", "linux/amd64/v3", false);
        check("linux/386", "linux/amd64/v3", true);
        check("linux/arm64", "linux/amd64/v3", false);
        check("windows/amd64", "linux/amd64/v3", false);
        check("linux/arm64/v8", "linux/arm64", true);
        check("linux/arm/v7", "linux/arm64", true);
        check("linux/arm/v7", "linux/arm/v6", false);
        check("linux/arm", "linux/arm/v6", true);
    }
}

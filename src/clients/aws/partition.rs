//! The partitions of AWS: where a region's endpoints are, and how its ARNs begin.

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// As ARNs have it.
    pub name: &'static str,
    /// What the names of its endpoints end with.
    pub suffix: &'static str,
}

/// By what a region's name begins with; the last one is everybody's.
const PARTITIONS: [(&str, Partition); 5] = [
    (
        "cn-",
        Partition {
            name: "aws-cn",
            suffix: "amazonaws.com.cn",
        },
    ),
    (
        "us-gov-",
        Partition {
            name: "aws-us-gov",
            suffix: "amazonaws.com",
        },
    ),
    (
        "us-iso-",
        Partition {
            name: "aws-iso",
            suffix: "c2s.ic.gov",
        },
    ),
    (
        "us-isob-",
        Partition {
            name: "aws-iso-b",
            suffix: "sc2s.sgov.gov",
        },
    ),
    (
        "",
        Partition {
            name: "aws",
            suffix: "amazonaws.com",
        },
    ),
];

impl Partition {
    /// The partition of `region`.
    pub fn of(region: &str) -> Self {
        let found = PARTITIONS.iter().find(|(it, _)| region.starts_with(it));
        found.map_or(PARTITIONS[PARTITIONS.len() - 1].1, |(_, it)| *it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_in_one_partition() {
        for (region, name, suffix) in [
            ("ap-northeast-2", "aws", "amazonaws.com"),
            ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
            ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
            ("us-west-2", "aws", "amazonaws.com"),
        ] {
            let partition = Partition::of(region);
            assert_eq!((partition.name, partition.suffix), (name, suffix));
        }
    }
}

//! The proxy's environment variables for the controller, the runners and their docker daemon. Pure: no I/O.

use crate::profile::Proxy;

/// Addresses without a proxy in every cluster: the pod itself, Services, the API server, the instance metadata and the
/// EKS Pod Identity agent. The API server's address differs by cluster, and Kubernetes expands it here; a private range
/// such as 10.0.0.0/8 would also exclude hosts behind the proxy.
const DIRECT: [&str; 7] = [
    "localhost",
    "127.0.0.1",
    "169.254.169.254",
    "169.254.170.23",
    ".svc",
    ".cluster.local",
    "$(KUBERNETES_SERVICE_HOST)",
];

/// What is reached without the proxy: the profile's hosts, then those of every cluster.
pub(crate) fn direct(proxy: &Proxy) -> impl Iterator<Item = &str> {
    let given = || proxy.no_proxy.iter().map(String::as_str);
    let of_every_cluster = DIRECT
        .into_iter()
        .filter(move |host| !given().any(|own| own == *host));
    given().chain(of_every_cluster)
}

/// The variables, in both spellings: curl reads `http_proxy` in lower case only, other programs upper case only.
pub(crate) fn environment(proxy: Option<&Proxy>) -> Vec<(String, String)> {
    let Some(proxy) = proxy else {
        return Vec::new();
    };
    let no_proxy: Vec<&str> = direct(proxy).collect();
    let no_proxy = no_proxy.join(",");
    let variables = [
        ("HTTP_PROXY", proxy.http.as_ref()),
        ("HTTPS_PROXY", proxy.https.as_ref()),
        ("NO_PROXY", Some(&no_proxy)),
    ];
    let set = || {
        variables
            .iter()
            .filter_map(|(name, value)| value.map(|value| (*name, value)))
    };
    let upper = set().map(|(name, value)| (name.to_owned(), value.clone()));
    let lower = set().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    upper.chain(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_no_variables() {
        assert!(environment(None).is_empty());
    }

    #[test]
    fn only_what_the_profile_names_is_set_in_both_spellings() {
        let proxy = Proxy {
            http: None,
            https: Some("http://proxy.example:3128".into()),
            no_proxy: vec!["ghe.example".into(), ".svc".into()],
        };
        let direct = "ghe.example,.svc,localhost,127.0.0.1,169.254.169.254,169.254.170.23,\
            .cluster.local,$(KUBERNETES_SERVICE_HOST)";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            environment(Some(&proxy)),
            [
                pair("HTTPS_PROXY", "http://proxy.example:3128"),
                pair("NO_PROXY", direct),
                pair("https_proxy", "http://proxy.example:3128"),
                pair("no_proxy", direct),
            ]
        );
    }
}

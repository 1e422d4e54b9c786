//! The environment of a service that calls through the gateway, and the forms in which it is printed.
//!
//! The names are those that clients read, as measured: each reads only some of them. Variables that are read in both
//! cases by different clients are set in both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clap::ValueEnum;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::ListenerSettings;

/// What every service calls directly: itself, and the address of the cloud's metadata, which the gateway refuses.
const ALWAYS_DIRECT: [&str; 4] = ["localhost", "127.0.0.1", "::1", "169.254.169.254"];

/// The form in which variables are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EnvironmentFormat {
    /// Lines that a POSIX shell reads
    Sh,
    /// Lines of a file for `docker run --env-file`
    Docker,
    /// The `env` list of a container
    K8s,
}

impl EnvironmentFormat {
    /// The variables as text.
    pub(super) fn render(self, variables: &[(&'static str, String)]) -> String {
        variables.iter().map(|(name, value)| self.line(name, value)).collect()
    }

    fn line(self, name: &str, value: &str) -> String {
        match self {
            Self::Sh => format!("export {name}='{}'\n", value.replace('\'', r"'\''")),
            // Docker takes everything behind the first `=` as it is, and knows no quotes.
            Self::Docker => format!("{name}={value}\n"),
            // A `$(` would refer to another variable; JSON's strings are YAML's.
            Self::K8s => {
                let quoted = serde_json::Value::from(value.replace("$(", "$$("));
                format!("- {{ name: {name}, value: {quoted} }}\n")
            }
        }
    }
}

/// Where a service reaches the egress listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProxyAddress {
    scheme: &'static str,
    /// A name, or an address; IPv6 without brackets.
    host: String,
    port: u16,
    /// `name:token@`, percent-encoded.
    userinfo: String,
}

impl ProxyAddress {
    /// Reads `http://HOST:PORT` or `https://HOST:PORT`.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const WANTED: &str = "must be http://HOST:PORT or https://HOST:PORT";
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => ("http", rest),
            Some(("https", rest)) => ("https", rest),
            Some(_) | None => return Err(WANTED),
        };
        let authority: http::uri::Authority = rest.strip_suffix('/').unwrap_or(rest).parse().map_err(|_| WANTED)?;
        let port = authority.port_u16().filter(|port| *port != 0).ok_or(WANTED)?;
        let host = crate::http::bare_host(authority.host());
        if authority.as_str().contains('@') || host.is_empty() {
            return Err(WANTED);
        }
        Ok(Self { scheme, host: host.to_owned(), port, userinfo: String::new() })
    }

    /// The address of the listener, as the same machine sees it.
    pub(super) fn of_listener(listener: Option<&ListenerSettings>) -> Result<Self, &'static str> {
        let listener = listener.ok_or("the config has no listeners.egress")?;
        let host = match listener.bind.ip() {
            IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            address => address,
        };
        match listener.bind.port() {
            0 => Err("the system chooses the port of listeners.egress: write --proxy http://HOST:PORT"),
            port => {
                let scheme = if listener.tls.is_some() { "https" } else { "http" };
                Ok(Self { scheme, host: host.to_string(), port, userinfo: String::new() })
            }
        }
    }

    /// The same for a service that is known by a token.
    pub(super) fn of_caller(self, name: &str, token: &str) -> Self {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        Self { userinfo: format!("{}:{}@", encode(name), encode(token)), ..self }
    }

    fn url(&self) -> String {
        let bracketed = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{}://{}{bracketed}:{}", self.scheme, self.userinfo, self.port)
    }
}

/// All that a service must be told.
#[derive(Debug)]
pub(super) struct ServiceEnvironment {
    pub(super) proxy: ProxyAddress,
    /// What is called directly, beside [`ALWAYS_DIRECT`].
    pub(super) direct: Vec<String>,
    /// The file of all authorities.
    pub(super) bundle: Option<String>,
    /// The trust store for Java.
    pub(super) trust_store: Option<String>,
}

impl ServiceEnvironment {
    /// The variables, in the order in which they are printed.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let (url, direct) = (self.proxy.url(), self.direct().join(","));
        let mut all: Vec<(&'static str, String)> = Vec::new();
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
            all.push((name, url.clone()));
        }
        for name in ["NO_PROXY", "no_proxy"] {
            all.push((name, direct.clone()));
        }
        all.push(("NODE_USE_ENV_PROXY", "1".to_owned()));
        if let Some(bundle) = &self.bundle {
            const NAMES: [&str; 10] = [
                "SSL_CERT_FILE",
                "REQUESTS_CA_BUNDLE",
                "CURL_CA_BUNDLE",
                "NODE_EXTRA_CA_CERTS",
                "GIT_SSL_CAINFO",
                "PIP_CERT",
                "npm_config_cafile",
                "BUNDLE_SSL_CA_CERT",
                "DENO_CERT",
                "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
            ];
            all.extend(NAMES.map(|name| (name, bundle.clone())));
        }
        all.push(("JAVA_TOOL_OPTIONS", self.java_options()));
        all
    }

    fn direct(&self) -> Vec<&str> {
        ALWAYS_DIRECT.into_iter().chain(self.direct.iter().map(String::as_str)).collect()
    }

    /// A Java machine reads no variable but this one. It knows no networks, and no credentials for a proxy.
    fn java_options(&self) -> String {
        let ProxyAddress { host, port, .. } = &self.proxy;
        let direct = self.direct().into_iter().filter(|name| !name.contains('/')).map(|name| match name {
            "127.0.0.1" => "127.*".to_owned(),
            name if name.starts_with('.') => format!("*{name}"),
            name if name.contains(':') => format!("[{name}]"),
            name => name.to_owned(),
        });
        let direct = direct.collect::<Vec<_>>().join("|");
        let mut options = format!(
            "-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} -Dhttps.proxyPort={port} -Dhttp.nonProxyHosts={direct}"
        );
        if let Some(store) = &self.trust_store {
            // Quotes, since a path may hold a space.
            options.push_str(&format!(" \"-Djavax.net.ssl.trustStore={store}\" -Djavax.net.ssl.trustStoreType=JKS"));
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(bundle: Option<&str>) -> ServiceEnvironment {
        let proxy = ProxyAddress::parse("http://127.0.0.1:8081").expect("an address");
        let direct = vec!["10.0.0.0/8".to_owned(), ".svc".to_owned()];
        let bundle = bundle.map(str::to_owned);
        ServiceEnvironment { proxy, direct, trust_store: bundle.clone(), bundle }
    }

    fn value(variables: &[(&'static str, String)], name: &str) -> Option<String> {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn every_client_finds_the_proxy_and_the_authorities_under_its_own_names() {
        let all = environment(Some("/etc/vendorgate/bundle.pem")).variables();
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
            assert_eq!(value(&all, name).as_deref(), Some("http://127.0.0.1:8081"), "{name}");
        }
        let direct = "localhost,127.0.0.1,::1,169.254.169.254,10.0.0.0/8,.svc";
        assert_eq!(value(&all, "NO_PROXY").as_deref(), Some(direct));
        assert_eq!(value(&all, "no_proxy").as_deref(), Some(direct));
        assert_eq!(all.iter().filter(|(_, value)| value == "/etc/vendorgate/bundle.pem").count(), 10);
        let java = value(&all, "JAVA_TOOL_OPTIONS").expect("there");
        assert!(java.contains("-Dhttp.nonProxyHosts=localhost|127.*|[::1]|169.254.169.254|*.svc "), "{java}");
        assert!(java.contains(r#""-Djavax.net.ssl.trustStore=/etc/vendorgate/bundle.pem""#), "{java}");
        let plain = environment(None).variables();
        assert_eq!(value(&plain, "SSL_CERT_FILE"), None, "nothing is intercepted, so nothing more is trusted");
    }

    #[test]
    fn a_value_means_the_same_in_every_format() {
        let odd = [("A", r#"it's $HOME `x` $(y) "q" \ é"#.to_owned())];
        assert_eq!(EnvironmentFormat::Sh.render(&odd), "export A='it'\\''s $HOME `x` $(y) \"q\" \\ é'\n");
        assert_eq!(EnvironmentFormat::Docker.render(&odd), "A=it's $HOME `x` $(y) \"q\" \\ é\n");
        let listed = EnvironmentFormat::K8s.render(&odd);
        assert_eq!(listed, "- { name: A, value: \"it's $HOME `x` $$(y) \\\"q\\\" \\\\ é\" }\n");
    }

    #[test]
    fn a_token_is_encoded_so_that_it_cannot_end_the_name_of_the_proxy() {
        let proxy = ProxyAddress::parse("https://[::1]:8081/").expect("an address").of_caller("checkout", "a@b:c/d");
        assert_eq!(proxy.url(), "https://checkout:a%40b%3Ac%2Fd@[::1]:8081");
        for bad in
            ["", "8081", "127.0.0.1:8081", "ftp://a:1", "http://a", "http://a:0", "http://u:p@a:1", "http://a:1/x"]
        {
            assert!(ProxyAddress::parse(bad).is_err(), "{bad}");
        }
    }
}

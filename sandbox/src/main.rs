//! `arcctl-sandbox`: a Kubernetes cluster on loopback to try arcctl on, and to test it with.

mod commit;
mod run;
mod start;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use arcctl_sandbox::kubelet::{Images, NodeSpec};
use arcctl_sandbox::world::{Helm, Options};
use clap::{Args, Parser, Subcommand};

/// A Kubernetes control plane on loopback, with a simulated GitHub, simulated nodes and simulated
/// controllers.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything, run a command in it, stop everything
    Run(run::RunArgs),
    /// Put a workflow into a repository of the simulated GitHub
    Commit(commit::CommitArgs),
    /// Start everything, print `ready`, and stop it on SIGINT or SIGTERM
    Start(start::StartArgs),
}

/// What both commands take.
#[derive(Args)]
struct WorldArgs {
    /// The major version of helm to put into PATH
    #[arg(long, value_parser = ["3", "4"], default_value = "3")]
    helm: String,
    /// What goes wrong, for example github:401@POST:/registration-token, kubernetes:503@PATCH#3,
    /// kubernetes:kill-after@write#5, webhook:late=5s, image:pull-fails=docker:*,
    /// certificate:never, egress:hang=NAMESPACE/SERVICE, controller:never-register, actions:never-assign, actions:take=30s,
    /// scale-sets:session-conflict
    #[arg(long = "fault", value_name = "SPEC")]
    faults: Vec<String>,
    /// The number of worker nodes
    #[arg(long, default_value_t = 2)]
    nodes: usize,
    /// Whether every image is on every node, or each is pulled in the time that its size takes
    #[arg(long, value_parser = ["present", "absent"], default_value = "present")]
    images: String,
    /// Start moto too, and point the AWS SDKs to it
    #[arg(long)]
    aws: bool,
    /// Nobody else writes to the AWS account; otherwise the first write of each object is refused once, with a conflict
    #[arg(long, requires = "aws")]
    aws_alone: bool,
}

impl WorldArgs {
    fn options(self, directory: Option<PathBuf>) -> Options {
        Options {
            directory,
            faults: self.faults,
            helm: if self.helm == "4" { Helm::V4 } else { Helm::V3 },
            nodes: (0..self.nodes).map(NodeSpec::numbered).collect(),
            images: match self.images.as_str() {
                "absent" => Images::Absent,
                _ => Images::Present,
            },
            aws: self.aws,
            alone: self.aws_alone,
            ..Options::default()
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // An error means that there is one already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(args).await,
        Command::Commit(args) => commit::run(args).await,
        Command::Start(args) => start::run(args).await,
    };
    result.unwrap_or_else(|error| {
        say(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

/// One line on stderr.
fn say(line: &str) {
    // When stderr is closed there is nobody left to tell.
    let _told = writeln!(std::io::stderr(), "arcctl-sandbox: {line}");
}

/// What a person must know before the first answer of the sandbox.
fn announce(aws: bool) {
    say(
        "simulated: GitHub, AWS, the charts and their controllers, worker nodes and their pods; \
         real: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, helm",
    );
    if aws {
        say(
            "the simulated AWS (moto) verifies no signature: whoever can form an EKS token is let in",
        );
    }
}

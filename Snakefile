"""Signloom: raw sign-language videos to features, trained models and honest metrics."""

import atexit
import shlex
import sys
from pathlib import Path

from snakemake.settings.types import DeploymentMethod
from snakemake.utils import min_version

from engines.build_folder import (
    bring_to_now,
    demand_inputs,
    demand_no_brace,
    demand_no_prefix,
    demand_space,
    demand_writable,
    folders_of,
    hold,
    notice_replaced,
)
from engines.given import GATES, Given, stages_of
from engines.import_closure import WORKFLOW, digest_of, in_workflow
from engines.import_closure import local_code_of as code_of
from engines.machine import demand_cluster, emulation_warnings, gpus_per_job
from engines.origins import Origins
from engines.pipeline import Pipeline
from engines.restored import follow, forget_lost, is_read_only
from engines.scheduling import memory, sleep_between_jobs
from signloom.disk import disk_error
from signloom.errors import PARAMS_FILE, SignloomError
from signloom.params.load import read_yaml

min_version("9.0")
sleep_between_jobs()

if PARAMS_FILE.exists():
    # Snakemake's own reader answers a broken file with a traceback
    try:
        read_yaml(PARAMS_FILE)
    except (SignloomError, OSError) as error:
        sys.exit(f"error: {disk_error(error, 'parameters', PARAMS_FILE) or error}")


configfile: "params.yaml"


# with `--default-storage-provider`, products are objects in a store; code and data stay files
store = workflow.storage_registry.default_storage_provider
stored = ""
if store:
    prefix = workflow.storage_settings.default_storage_prefix.rstrip("/")
    stored = str(store.object(f"{prefix}/build").local_path().parent)


try:
    demand_no_brace(WORKFLOW)
    demand_no_prefix(workflow.modifier.path_modifier.replace_prefix)
    demand_writable(*Path(".snakemake").glob("*/"), *map(Path, (".snakemake", "metrics", "build")))
    flow = Pipeline.load(config, workflow.config_settings.overwrite_config, stored)
    given, origins = Given(flow.params), Origins(flow)
    if workflow.is_main_process and not is_read_only():
        demand_space(Path(".snakemake"))
        demand_inputs(flow)
        origins.demand_folds()
    if workflow.is_main_process and not stored:
        follow(",".join(flow.presets), origins.sources)
except (SignloomError, OSError) as error:
    sys.exit(f"error: {disk_error(error, 'project', Path()) or error}")
gpus = gpus_per_job()

# DVC's stages that compare runs depend on these folders, which git keeps only with a file in them
if not flow.preset:
    for kind in ("seeds", "folds", "variants"):
        keep = Path(flow.metric(kind), ".gitkeep")
        if not keep.exists():
            keep.parent.mkdir(parents=True, exist_ok=True)
            keep.touch()

# pipefail: a job fails if any command of its pipe fails. PASSIVE: threads that wait actively starve each
# other on a busy machine, where they made training ten times slower
start = "set -euo pipefail; export OMP_WAIT_POLICY=PASSIVE; "
if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
    # jobs run the Python that runs the engine, whether its environment is active or not
    start += f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; "
if not Path("workflow_scripts").exists():
    # a project that uses this workflow as a module has its own working folder
    start += f"export PYTHONPATH={shlex.quote(str(WORKFLOW))}${{{{PYTHONPATH:+:$PYTHONPATH}}}}; "
shell.prefix(start)


report: "docs/captions/workflow.rst"


wildcard_constraints:
    shard=r"\d+",
    variant=r"[a-z_]+",
    # folders of the run; the first seed and the build without folds have none
    seed=r"(seeds/\d+/)?",
    fold=r"(folds/[A-Za-z0-9_.-]+/)?",
    # variant and seed of sign2text
    run=r"(variants/[a-z_]+/)?(seeds/\d+/)?",
    # of comparison tables; constraints given after rules do not reach products in object storage
    table=r"[a-z0-9_]+",
    setting=r"[a-z0-9_]+",


include: "rules/data.smk"


# pose features are computed from videos or imported
if flow.videos_read:

    include: "rules/landmarks.smk"

else:

    include: "rules/import_features.smk"


include: "rules/prepare.smk"


if "sign2text" in flow.params.pipeline.families:

    include: "rules/sign2text.smk"


if "gloss" in flow.params.pipeline.families:
    if flow.reading("clip"):

        include: "rules/clips.smk"
    include: "rules/gloss.smk"

    if len(flow.seeds) > 1:

        include: "rules/together.smk"


if "sign2text" in flow.params.pipeline.families:

    include: "rules/inference.smk"


include: "rules/review.smk"
include: "rules/runs.smk"
include: "rules/deliver.smk"


if flow.reading("clip"):

    include: "rules/side_by_side.smk"


onstart:
    if workflow.is_main_process:
        try:
            if workflow.executor_plugin.name == "slurm":
                demand_cluster()
            hold(workflow.persistence.all_inputfiles(), workflow.persistence.all_outputfiles())
        except SignloomError as error:
            sys.exit(f"error: {error}")
        for line in bring_to_now(workflow.persistence.all_inputfiles()):
            print(f"warning: {line}", file=sys.stderr)
    # on a cluster the jobs run on other machines, and each warns in its own log
    if workflow.local_exec:
        for line in emulation_warnings(
            flow.params, (job.rule.name for job in workflow.dag.needrun_jobs())
        ):
            print(f"warning: {line}", file=sys.stderr)


onsuccess:
    # a job on a cluster runs a workflow of its own
    if workflow.is_main_process and any(job.rule.name == "report" for job in workflow.dag.jobs):
        print("report:", flow.product("report/index.html"), file=sys.stderr)
        if "sign2text" in flow.params.pipeline.families:
            bundle = flow.product("export/sign_encoder_bundle.zip")
            print(f"predict: signloom predict VIDEO --bundle {bundle}", file=sys.stderr)


rule all:
    default_target: True
    input:
        flow.product("report/index.html"),
        flow.product("review/index.html"),
        flow.if_family("sign2text", flow.product("embeddings/prototypes.npz")),
        flow.of_grid("sign2text", flow.metric("{fold}{run}sign2text.json")),
        flow.of_grid("sign2text", flow.metric("{fold}{run}retrieval.json")),
        flow.of_grid("gloss", flow.metric("{fold}{seed}gloss/{variant}.json")),
        flow.together(flow.metric("together/gloss/{variant}.json")),


if workflow.is_main_process and not is_read_only():
    try:
        demand_writable(*map(Path, map(flow.product, ("records", "scratch"))), *folders_of(workflow.rules))
    except SignloomError as error:
        sys.exit(f"error: {error}")
    # not in `onerror`, which Snakemake runs neither for a module nor after an error of its own
    atexit.register(forget_lost, workflow, Path().absolute())
    for line in notice_replaced(workflow.rules):
        print(f"warning: {line}", file=sys.stderr)

import argparse
import math
import re
import sys
from pathlib import Path
from typing import Any

from signloom.cli.build_commands import add_compare, add_export_landmarks, add_withdraw
from signloom.cli.extras import need_corpora, need_points, need_rows, need_video
from signloom.cli.given import camera, check_output, check_writable, keep_out, path, seconds
from signloom.cli.new_command import new_command
from signloom.errors import PARAMS_FILE, SignloomError
from signloom.gate import is_there, why_shut
from signloom.preset_names import presets_of

BUNDLE = Path("build/export/sign_encoder_bundle.zip")
FEATURES = frozenset({".npz", ".npy"})
TABLES = frozenset({".csv", ".tsv", ".xlsx"})


def add_commands(commands: Any) -> None:
    """Add all commands to `commands`, the subparsers of `signloom`."""
    _add_init(commands)
    _add_check(commands)
    _add_predict(commands)
    _add_align(commands)
    _add_spot(commands)
    _add_calibrate(commands)
    add_compare(commands)
    add_export_landmarks(commands)
    add_withdraw(commands)


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle", type=path, default=BUNDLE, metavar="ZIP", help="exported model (default: %(default)s)"
    )


def _need_bundle(bundle: Path) -> None:
    """Raise SignloomError that says how to build `bundle` if it does not exist."""
    if bundle.exists():
        return
    built = re.fullmatch(r"build/(?:([^/]+)/)?export(?:/[^/]+)?", bundle.as_posix())
    if not built:
        raise SignloomError(f"{bundle} does not exist; give sign_encoder_bundle.zip, or its folder")
    if not PARAMS_FILE.exists():
        raise SignloomError(f"{bundle} does not exist here; give --bundle ZIP, or go to the project's folder")
    preset = f" --config preset={presets_of(built[1])}" if built[1] else ""
    others = sorted(Path("build").glob("*/export/sign_encoder_bundle.zip"))
    more = f", or give --bundle {others[0]}" if others else ""
    raise SignloomError(f"{bundle} does not exist; build it first: snakemake --cores all{preset}{more}")


def _add_init(commands: Any) -> None:
    parser = new_command(
        commands,
        _run_init,
        "init",
        help="write a preset for a folder of videos",
        description="Look at a folder of videos, write a preset for it, and say what was understood.",
    )
    parser.add_argument("folder", type=path, metavar="FOLDER", help="the videos and what describes them")
    parser.add_argument("--preset", metavar="NAME", help="name of the preset (default: that of the folder)")


def _run_init(args: argparse.Namespace) -> int:
    need_corpora("init")
    # slow to import: --help should not wait for it
    from signloom.cli.init import init

    try:
        return init(args.folder, args.preset)
    except SignloomError as error:  # of whatever reads a form
        raise SignloomError(f"init: {str(error).removeprefix('init: ')}") from error


def _add_check(commands: Any) -> None:
    parser = new_command(
        commands,
        _run_check,
        "check",
        help="say what a build of a preset will do, before hours are spent",
        description="Check the clips of a preset by their table and headers, and measure this machine.",
    )
    parser.add_argument("preset", metavar="PRESET", help="name of the preset, or several joined by commas")


def _run_check(args: argparse.Namespace) -> int:
    need_corpora("check")
    need_video("check")
    # slow to import: --help should not wait for it
    from signloom.cli.check import check

    return check(args.preset)


def _add_predict(commands: Any) -> None:
    parser = new_command(
        commands,
        _run_predict,
        "predict",
        help="recognise the sentence signed in a video",
        description="Answer videos with the sentences of a trained model, or refuse and give the reason.",
    )
    _add_bundle(parser)
    source = parser.add_argument_group("what to answer (one of)")
    source.add_argument(
        "videos", nargs="*", type=path, metavar="CLIP", help="videos, folders of videos, or files of features"
    )
    source.add_argument("--stream", type=path, metavar="VIDEO", help="answer a video as if it were live")
    source.add_argument(
        "--camera",
        type=camera,
        nargs="?",
        const=0,
        metavar="N",
        help="answer camera N (default 0) until Ctrl-C",
    )
    parser.add_argument(
        "--top", type=int, metavar="K", help="sentences to list in an answer (default: the bundle's)"
    )
    parser.add_argument("--rerank", action="store_true", help="also rank by the order of the frames (slower)")
    parser.add_argument("--int8", action="store_true", help="use the smaller and faster encoder")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line, for programs")
    parser.add_argument(
        "--picture",
        type=path,
        metavar="PNG_OR_FOLDER",
        help="draw landmarks and answer: to a .png file, or to one .png per video in a folder",
    )
    files = parser.add_argument_group(
        "files of answers, of one video, stream or camera; a video is cut into passages first"
    )
    files.add_argument(
        "--eaf",
        type=path,
        metavar="FILE",
        help="write ELAN tiers of sentences and glosses; never over a file that a person made or changed",
    )
    files.add_argument("--vtt", type=path, metavar="FILE", help="write new WebVTT subtitles")
    files.add_argument("--srt", type=path, metavar="FILE", help="write new SubRip subtitles")


def _run_predict(args: argparse.Namespace) -> int:
    features = [path for path in args.videos if path.suffix.lower() in FEATURES]
    # as signloom.dataset.probe.LANDMARK_SUFFIXES, which is slow to import
    poses = [path for path in args.videos if path.suffix.lower() == ".pose"]
    _check_sources(args, features, poses)
    _check_files(args, [*features, *poses])
    if args.stream and args.stream.suffix.lower() == ".pose":
        raise SignloomError(f"predict: --stream works for a video, and {args.stream} has landmarks alone")
    if not features:
        need_video("predict")
    if poses:
        need_points("predict")
    _need_bundle(args.bundle)
    sources = [*args.videos, *([args.stream] if args.stream else [])]
    if sources and not any(is_there(source) for source in sources):
        print("\n".join(f"error: {source}: {why_shut(source)}" for source in sources), file=sys.stderr)
        return 2
    if features:
        return _answer_features(args, features)
    # slow to import: --help and wrong arguments should not wait for it
    from signloom.cli.predict import answer

    return answer(args)


def _check_sources(args: argparse.Namespace, features: list[Path], poses: list[Path]) -> None:
    """Raise SignloomError unless `predict` was told to answer one kind of thing, in a way that fits it."""
    if sum([bool(args.videos), args.stream is not None, args.camera is not None]) != 1:
        raise SignloomError("predict: give videos, --stream VIDEO or --camera; see --help")
    if features and len(features) < len(args.videos):
        raise SignloomError("predict: give videos or features (.npz, .npy), not both")
    if args.top is not None and args.top < 1:
        raise SignloomError(f"predict: --top {args.top}: expected 1 or more")
    if args.picture and (features or not args.videos):
        raise SignloomError("predict: --picture works for videos, not for --stream, --camera or features")
    if poses and args.picture:
        raise SignloomError(f"predict: --picture works for videos, and {poses[0]} has landmarks alone")


def _check_files(args: argparse.Namespace, rows: list[Path]) -> None:
    """Raise SignloomError for a file that `predict` cannot write; `rows` are inputs without pictures."""
    wanted = [name for name in ("eaf", "vtt", "srt") if getattr(args, name)]
    inputs = [*args.videos, args.bundle, *([args.stream] if args.stream else [])]
    for name in wanted:
        check_output(f"predict: --{name}", getattr(args, name), f".{name}", inputs)
        # what a person made is not told from our own, as it is in an ELAN file
        if name != "eaf" and getattr(args, name).exists():
            raise SignloomError(
                f"predict: --{name}: {getattr(args, name)} exists; move it, or choose another name"
            )
    if args.picture and args.picture.suffix.lower() == ".png":
        check_output("predict: --picture", args.picture, ".png", inputs)
    elif args.picture and args.picture.suffix and not args.picture.is_dir():
        raise SignloomError(
            f"predict: --picture {args.picture}: expected a name that ends in .png, or a folder"
        )
    elif args.picture:
        check_writable("--picture", args.picture)
        for clip in inputs:
            keep_out("--picture", args.picture, clip)
    if wanted and rows:
        raise SignloomError(f"predict: --{wanted[0]} works for a video, and {rows[0]} has none")
    if wanted and (len(args.videos) > 1 or args.picture):
        raise SignloomError(f"predict: --{wanted[0]} works for one video, and without --picture")


def _answer_features(args: argparse.Namespace, features: list[Path]) -> int:
    # slow to import: --help and wrong arguments should not wait for it
    from signloom.inference.command import answer_files, load_engine

    engine = load_engine(args.bundle, int8=args.int8, top=args.top)
    recorded = None
    positions = engine.config.get("positions", {})  # a bundle of an earlier version has none
    if positions.get("points") or positions.get("others"):
        need_rows("predict")
        from signloom.inference.recorded_rows import recorded_rows

        # .npz holds features that were made already
        recorded = recorded_rows(engine.config, [it for it in features if it.suffix.lower() != ".npz"])
    return answer_files(engine, features, as_json=args.json, rerank=args.rerank, recorded=recorded)


def _add_align(commands: Any) -> None:
    parser = new_command(
        commands,
        _run_align,
        "align",
        help="find when each gloss of a known line begins and ends",
        description="Find when each gloss of a video begins and ends, given its gloss line.",
    )
    _add_bundle(parser)
    parser.add_argument("clip", type=path, metavar="CLIP", help="a video, or a table of clips, see below")
    parser.add_argument("--glosses", metavar="LINE", help="the glosses of the video, separated by spaces")
    parser.add_argument(
        "--videos", type=path, metavar="FOLDER", help="folder of the table's videos (default: its own)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line, for programs")
    parser.add_argument(
        "--eaf",
        type=path,
        metavar="FILE",
        help="write an ELAN tier of glosses; of a table, files in a folder",
    )


def _run_align(args: argparse.Namespace) -> int:
    table = args.clip.suffix.lower() in TABLES
    if table and args.glosses is not None:
        raise SignloomError(f"align: {args.clip} is a table with its own glosses; leave --glosses out")
    if not table and args.glosses is None:
        raise SignloomError('align: give the glosses of the video, as in --glosses "MOTHER BUY BOOK"')
    if not table and args.videos is not None:
        raise SignloomError("align: --videos is for a table of clips")
    if args.eaf and table and args.eaf.is_file():
        raise SignloomError(f"align: --eaf {args.eaf}: expected a folder for the videos of a table")
    if args.eaf and table:
        check_writable("--eaf", args.eaf)
    elif args.eaf:
        check_output("align: --eaf", args.eaf, ".eaf", [args.clip, args.bundle])
    need_video("align")
    if args.clip.suffix.lower() == ".pose":
        need_points("align")
    _need_bundle(args.bundle)
    if not is_there(args.clip):
        raise SignloomError(f"align: {args.clip}: {why_shut(args.clip)}")
    # slow to import: --help and wrong arguments should not wait for it
    from signloom.cli.align import align

    return align(args)


def _add_spot(commands: Any) -> None:
    parser = new_command(
        commands,
        _run_spot,
        "spot",
        help="find where a sign occurs in videos, given one example",
        description="Find where a sign occurs in videos, given one example of it.",
    )
    _add_bundle(parser)
    parser.add_argument("example", type=path, metavar="EXAMPLE", help="a video that shows the sign")
    parser.add_argument("videos", nargs="+", type=path, metavar="VIDEO", help="a video to search")
    parser.add_argument(
        "--start", type=seconds, metavar="S", help="where the sign begins in EXAMPLE, in seconds"
    )
    parser.add_argument("--end", type=seconds, metavar="S", help="where it ends (default: with EXAMPLE)")
    parser.add_argument("--top", type=int, default=10, metavar="K", help="places to list (default: 10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line, for programs")


def _run_spot(args: argparse.Namespace) -> int:
    if args.top < 1:
        raise SignloomError(f"spot: --top {args.top}: expected 1 or more")
    start = args.start or 0.0
    if not 0 <= start < math.inf:
        raise SignloomError(f"spot: --start {start:g}: expected seconds from the start of the video")
    if args.end is not None and not args.end > start:
        raise SignloomError(f"spot: --end {args.end:g} is not after --start {start:g}")
    need_video("spot")
    sources = [args.example, *args.videos]
    if any(source.suffix.lower() == ".pose" for source in sources):
        need_points("spot")
    _need_bundle(args.bundle)
    for source in sources:
        if not is_there(source):
            raise SignloomError(f"spot: {source}: {why_shut(source)}")
    # slow to import: --help and wrong arguments should not wait for it
    from signloom.cli.spot import run_spot

    return run_spot(args)


def _add_calibrate(commands: Any) -> None:
    parser = new_command(
        commands,
        _run_calibrate,
        "calibrate",
        help="choose the thresholds of answers on clips from your own camera",
        description="Write a copy of a bundle with thresholds chosen on clips from your own camera.",
    )
    _add_bundle(parser)
    parser.add_argument(
        "clips", type=path, metavar="CLIPS.csv", help="table of the recorded clips, see below"
    )
    parser.add_argument(
        "--videos", type=path, metavar="FOLDER", help="folder of the videos (default: that of CLIPS.csv)"
    )
    parser.add_argument("--output", type=path, required=True, metavar="NEW.zip", help="bundle to write")
    parser.add_argument(
        "--max-false-accept-rate",
        type=float,
        metavar="RATE",
        help="highest share of clips answered that should be refused (default: the bundle's)",
    )
    parser.add_argument(
        "--insist", action="store_true", help="choose thresholds by too few clips as well, with warnings"
    )


def _run_calibrate(args: argparse.Namespace) -> int:
    rate = args.max_false_accept_rate
    if rate is not None and not 0 <= rate <= 1:
        raise SignloomError(f"calibrate: --max-false-accept-rate {rate:g}: expected 0 to 1")
    if args.bundle.is_dir():
        raise SignloomError(f"calibrate: --bundle {args.bundle} is a folder; give the zip file in it")
    if args.output.suffix.lower() != ".zip" or args.output.is_dir():
        raise SignloomError(f"calibrate: --output {args.output}: expected the name of a .zip file")
    if args.output.exists() and args.bundle.exists() and args.output.samefile(args.bundle):
        raise SignloomError(f"calibrate: --output {args.output} is the bundle itself; give another name")
    if args.videos is not None and not args.videos.is_dir():
        raise SignloomError(f"calibrate: --videos {args.videos}: expected a folder")
    check_writable("calibrate: --output", args.output.parent)
    need_video("calibrate")
    _need_bundle(args.bundle)
    # slow to import: --help and wrong arguments should not wait for it
    from signloom.cli.calibrate import calibrate

    return calibrate(args)

"""Cut single signs out of the demo corpus: a small corpus of isolated signs, in folders named after them.

``python -m tools.cut_signs --output data/mine``
"""

import argparse
from pathlib import Path

import av

from signloom.files import atomic, read_csv
from signloom.video.decode import open_video

CORPUS = Path("data/demo")
# these open sentences, so a clip shows the sign from rest, and only the beginning of the next one
SIGNS = ("CHILD", "MOTHER", "TEACHER", "TODAY", "YESTERDAY")
# left-handed s3 is left out: with so few clips, one in six would be mirrored
SIGNERS = ("s1", "s2", "s4", "s5", "s6")
AFTER_S = 0.45  # seconds that are kept after the sign


def cut(video: Path, to: Path, start_s: float, end_s: float) -> None:
    """Write the frames of `video` from `start_s` to `end_s` to the file `to`, at the same rate."""
    with open_video(video) as source:
        pictures = [frame.image for frame in source.frames(start_s, end_s)]
        rate = round(source.fps)
    with atomic(to) as part, av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # x264 writes other bytes with other numbers of threads
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def cut_signs(output: Path) -> int:
    """Write a clip of every sign by every signer to `output`; return their number."""
    times = read_csv(CORPUS / "truth/gloss_times.csv")
    times["signer"] = times["clip_id"].str.partition("/")[0]
    chosen = times[(times["index"] == 0) & times["gloss"].isin(SIGNS) & times["signer"].isin(SIGNERS)]
    chosen = chosen.drop_duplicates(["gloss", "signer"])
    for row in chosen.itertuples():
        video = CORPUS / f"videos/{row.clip_id}.mp4"
        cut(video, output / row.gloss / f"{row.signer}.mp4", start_s=0.0, end_s=row.end_s + AFTER_S)
    return len(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the clips, below data/")
    output = parser.parse_args().output
    print(f"{output}: {cut_signs(output)} clips of {len(SIGNS)} signs")


if __name__ == "__main__":
    main()

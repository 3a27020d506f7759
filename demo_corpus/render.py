"""Off-screen rendering of a posed body with VTK, and H.264 writing with fixed settings."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo_corpus.body import Array
from demo_corpus.clothes import Body, eye_centre
from demo_corpus.signers import Signer

os.environ.setdefault("LP_NUM_THREADS", "1")  # threads of the software rasteriser

Frame = NDArray[np.uint8]
VIEW_ANGLE = 24.0  # degrees, vertical
EDGE_BLUR = 0.55  # pixels
BELOW, ABOVE = -0.055, 0.30  # metres from the hips to the lower edge, and from the eyes to the upper edge


class Camera:
    """A pinhole camera that fits the signing space of one body."""

    def __init__(self, body: Body, signer: Signer) -> None:
        self.width, self.height = signer.size
        low, high = BELOW, eye_centre(body.rest)[2] + ABOVE
        self.target = np.array([0.0, -0.10, (low + high) / 2])
        distance = (high - low) / 2 / np.tan(np.radians(VIEW_ANGLE / 2)) / signer.zoom
        azimuth, elevation = np.radians(signer.azimuth), np.radians(signer.elevation)
        back = np.array(
            [np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)]
        )
        self.position = self.target + distance * back
        self.back = back

    def project(self, points: Array) -> Array:
        """Project world points ``(..., 3)`` in metres to pixels ``(..., 2)`` (x right, y down)."""
        right = np.cross(np.array([0.0, 0.0, 1.0]), self.back)
        right /= np.linalg.norm(right)
        up = np.cross(self.back, right)
        local = points - self.position
        depth = -(local @ self.back)
        scale = self.height / 2 / np.tan(np.radians(VIEW_ANGLE / 2)) / depth
        return np.stack(
            [self.width / 2 + (local @ right) * scale, self.height / 2 - (local @ up) * scale], axis=-1
        )


class Stage:
    """One signer in front of a wall, ready to be drawn frame by frame."""

    def __init__(self, body: Body, signer: Signer, figure: bool = True) -> None:
        import pyvista as pv

        from demo_corpus.texture import paint

        self.body, self.camera = body, Camera(body, signer)
        self.plotter: Any = pv.Plotter(off_screen=True, window_size=list(signer.size), lighting="none")
        self.plotter.set_background(signer.wall[0], top=signer.wall[1])
        self._light()
        self.meshes: list[Any] = []
        colours = {"shirt": signer.shirt, "trousers": signer.trousers, "hair": signer.hair}
        if signer.hair_style == "cap":
            colours["hair"] = (0.20, 0.32, 0.50)
        for part in body.parts if figure else []:
            faces = np.hstack([np.full((len(part.triangles), 1), 3), part.triangles]).ravel()
            mesh = pv.PolyData(part.points.astype(np.float32), faces)
            mesh.point_data["Normals"] = part.normals.astype(np.float32)
            mesh.point_data.active_normals_name = "Normals"
            look = dict(smooth_shading=False, ambient=0.18, diffuse=0.85, specular=0.06, specular_power=12)
            if part.name == "skin":
                mesh.active_texture_coordinates = part.uv.astype(np.float32)
                actor = self.plotter.add_mesh(
                    mesh, texture=pv.numpy_to_texture(paint(body.rest, signer)), **look
                )
            else:
                actor = self.plotter.add_mesh(mesh, color=colours[part.name], **look)
            actor.prop.interpolation = "Phong"
            self.meshes.append(mesh)
        self.plotter.camera.position = tuple(self.camera.position)
        self.plotter.camera.focal_point = tuple(self.camera.target)
        self.plotter.camera.up = (0.0, 0.0, 1.0)
        self.plotter.camera.view_angle = VIEW_ANGLE
        self.plotter.camera.clipping_range = (0.5, 6.0)
        self.plotter.disable_anti_aliasing()
        self.plotter.render_window.SetMultiSamples(0)

    def _light(self) -> None:
        import pyvista as pv

        chest = (0.0, 0.0, 0.45)
        for position, strength in (
            ((-1.2, -2.2, 1.8), 0.62),
            ((1.6, -2.0, 1.0), 0.34),
            ((0.0, -2.5, -0.2), 0.22),
            ((0.6, 2.0, 1.6), 0.25),
        ):
            self.plotter.add_light(
                pv.Light(position=position, focal_point=chest, intensity=strength, light_type="scene light")
            )

    def draw(self, deltas: Array, heads: Array, face: Array) -> Frame:
        """Return one picture ``(height, width, 3)``, uint8 RGB; arguments as for ``Body.pose``."""
        if self.meshes:
            for mesh, (points, normals) in zip(self.meshes, self.body.pose(deltas, heads, face), strict=True):
                mesh.points = points.astype(np.float32)
                mesh.point_data["Normals"] = normals.astype(np.float32)
        import cv2

        self.plotter.render()
        image = np.ascontiguousarray(self.plotter.screenshot(return_img=True))
        # a slight blur takes a hundredth of the time of multisampling in software
        return np.asarray(cv2.GaussianBlur(image, (3, 3), EDGE_BLUR), np.uint8)


def write_video(path: Path, frames: Iterable[Frame], fps: int, size: tuple[int, int]) -> None:
    """Encode H.264 (yuv420p, fast start) to ``path`` through a temporary file."""
    import av
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.partial.mp4")
    with av.open(str(temporary), "w", options={"movflags": "faststart", "fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        # without cpu-independent, macroblock-tree sums differ from run to run
        stream.options = {
            "crf": "25",
            "preset": "fast",
            "threads": "1",
            "x264-params": "threads=1:keyint=120:cpu-independent=1",
        }
        for image in frames:
            # the rounding of the container library's own conversion depends on memory alignment
            planes = np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420))
            for packet in stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    temporary.replace(path)

"""Package description. Every bound carries its reason; the set that is tested is pinned in scripts/setup_env.sh."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

REQUIREMENTS = [
    # The network exports as one graph from 2.8 on (2.7 fails); the headers of 2.14 need C++20, and mmcv 2.2.0
    # is compiled as C++17.
    'torch>=2.8,<2.14',
    # The partners of torch 2.8 and 2.13: torchvision's binaries load with exactly one torch.
    'torchvision>=0.23,<0.29',
    # The last release; satvsr_plugin/toolbox mends the faults of this one.
    'basicsr==1.4.2',
    # 2.2 is the only release whose operators were checked against torchvision's here.
    'mmcv>=2.2,<2.3',
    # The first that Python 3.12 can install.
    'numpy>=1.26,<3',
    'lmdb>=1.5.1',
    'pyyaml>=6.0.1',
    # The first release built for numpy 2.
    'opencv-python>=4.10',
    # The first release built for numpy 2; draws the plots of a comparison.
    'matplotlib>=3.9',
    # Lossless WebP for the page of a comparison; any release of these years.
    'pillow>=10',
    # 2.5 is the first for Python 3.12; the option models are written for version 2.
    'pydantic>=2.5,<3',
    # 0.4 is the first for numpy 2: weights in files that cannot hold code.
    'safetensors>=0.4',
    # Any release: only its plain bar is used.
    'tqdm',
    # The oldest that knows urllib3 2.
    'requests>=2.30',
    # basicsr imports distutils, which only setuptools has on Python 3.12; mmcv's build imports pkg_resources,
    # which setuptools 82 removed (its own warning advises <81).
    'setuptools>=64,<81',
]

# Reading video files; 12 is the first release built for numpy 2.
VIDEO_REQUIREMENTS = ['av>=12']

# Reading and writing GeoTIFF; 1.4 is the first release built for numpy 2.
GEO_REQUIREMENTS = ['rasterio>=1.4']

TEST_REQUIREMENTS = [
    *VIDEO_REQUIREMENTS,
    *GEO_REQUIREMENTS,
    'pytest>=8',
    'pytest-timeout>=2.2',
    # Several test files at once: small tensors do not keep two cores busy.
    'pytest-xdist>=3.5',
    'ruff>=0.6',
    # The release that the types were checked with: others find other faults.
    'mypy==2.4.1',
    # Random edits of option files, pictures, clips and videos.
    'hypothesis>=6.100',
    # The independent implementation of PSNR and SSIM that the metrics are compared with.
    'scikit-image>=0.22',
    # Drives a browser through the page of a comparison; where there is no Chromium these tests skip.
    'playwright>=1.40',
]


def read_version() -> str:
    """The version is written once, in the package; importing it here would need torch."""
    text = (ROOT / 'satvsr_plugin' / '__init__.py').read_text(encoding='utf-8')
    return re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE).group(1)


def read_readme() -> str:
    """The project page of the package; absent from a copy that holds only the code."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.exists() else ''


setup(
    name='satvsr-plugin',
    version=read_version(),
    description='Satellite video super-resolution for BasicSR: networks, data sets, metrics, training, testing',
    long_description=read_readme(),
    long_description_content_type='text/markdown',
    license='MIT',
    packages=find_packages(include=['satvsr_plugin', 'satvsr_plugin.*']),
    package_data={
        'satvsr_plugin.comparison': ['published.json'],
        'satvsr_plugin.comparison.page': ['*.html', '*.css', '*.js'],
        'satvsr_plugin.weights': ['shipped/*'],
    },
    # basicsr's setup.py fails on 3.13 (KeyError: '__version__'): exec no longer fills locals() there.
    python_requires='>=3.10,<3.13',
    install_requires=REQUIREMENTS,
    extras_require={'video': VIDEO_REQUIREMENTS, 'geo': GEO_REQUIREMENTS, 'test': TEST_REQUIREMENTS},
    entry_points={
        'console_scripts': ['basicsr = satvsr_plugin.cli:main'],
        'basicsr.plugins': ['satvsr = satvsr_plugin'],
    },
)

"""What setup.cfg cannot say: `configs/` is installed as `star/configs`."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=['star', 'star.*']),
        'star.assets',
        'star.configs',
    ],
    package_dir={'star.configs': 'configs'},
    package_data={
        'star.assets': ['*.safetensors', 'LICENSE.*'],
        'star.configs': ['**/*.py', '**/*.md'],
        'star.report': ['*.css', '*.js', '*.csv'],
        'star.user_study': ['pages/*'],
    },
)

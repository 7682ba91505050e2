"""JupyterHub's one file, for a class on one server: each student finds the learner's edition, and needs no network.

It's a snippet for The Littlest JupyterHub (TLJH), which most lecturers with one server use: one command installs it on
a fresh Ubuntu, it makes the students' accounts, and it keeps them within limits by systemd. Take Ubuntu 24.04, as the
Python of 22.04 is too old for the book. Once TLJH is there:

    sudo apt-get install --yes git python3-venv make
    sudo git clone ADDRESS /srv/minivit && cd /srv/minivit
    sudo make TORCH_CPU=PLACE editions
    sudo .venv/bin/python -m pip install "jupyterhub==$(/opt/tljh/hub/bin/jupyterhub --version)"
    sudo ln -s "$PWD"/course/hub/jupyterhub_config.py /opt/tljh/config/jupyterhub_config.d/minivit.py
    sudo tljh-config reload hub

README.md says what PLACE is. Any other JupyterHub whose spawner starts a command on the server takes the file with
``load_subconfig``. When the book has changed, ``git pull`` and ``make editions`` renew it, and keep what students did.

Tried with JupyterHub 5.5, its local spawner and a user of the system, without a network: logging in, the copies, a
kernel that runs a model of the package. Not tried: TLJH itself, and the limits, which need systemd.
"""

from pathlib import Path

BOOK = Path(__file__).resolve().parents[2]  # the repository, also if this file is linked from elsewhere

# As the student: renew the copies, then start JupyterLab from the book's environment.
START = ('cd "$0" && .venv/bin/python -m tools.work --built "$HOME/chapters"; '
         'cd "$HOME" && exec "$0/.venv/bin/jupyterhub-singleuser" "$@"')

c = get_config()  # noqa: F821 (JupyterHub hands it over)

c.Spawner.cmd = ["/bin/sh", "-c", START, str(BOOK)]
c.Spawner.default_url = "/lab/tree/chapters"
c.Spawner.start_timeout = 120  # seconds; thirty servers start at once when a lesson begins
c.Spawner.environment = {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}  # as where the outputs were stored

# A chapter declares at most 2 GB, one thread. The rest is for JupyterLab, and for a second chapter that was left open.
c.Spawner.mem_limit = "3G"
c.Spawner.cpu_limit = 1.0

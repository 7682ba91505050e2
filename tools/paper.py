"""What a page of the book becomes where nothing can be pressed: on paper and in an e-book.

What was folded is open, the solution comes at the end of its exercise, and a slider stands where it started.
"""

from bs4 import BeautifulSoup, Tag


def name_of_folded(prompt: Tag) -> str:
    """Return what a folded cell holds, without the invitation to open it: "Solution" for "Show the solution"."""
    name = " ".join(prompt.get_text(" ").split()).removeprefix("Show ").removeprefix("the ")
    return name[:1].upper() + name[1:]


def unfold(body: Tag) -> None:
    for folded in body("details"):
        kept = folded.get("class", []) if folded.find_parent(class_="live-figure") else []  # its script looks for them
        folded.name, folded["class"] = "div", ["unfolded", *kept]
        folded.attrs.pop("open", None)
        summary = folded.find("summary")
        if not summary:
            continue
        prompt = summary.find(class_="collapsed")
        name = name_of_folded(prompt) if prompt else ""
        if name == "Code":  # where the cell has no prompt of its own; open, it shows what it is
            summary.decompose()
            continue
        summary.name, summary["class"] = "p", ["unfolded-title"]
        if prompt:
            summary.string = name


def solutions_last(body: Tag) -> None:
    """Move the solution behind the check, to the end of its exercise."""
    for exercise in body.select('section[id^="exercise-"]'):
        for cell in exercise.find_all("div", class_="tag_solution", recursive=False):
            exercise.append(cell.extract())


def still(soup: BeautifulSoup, body: Tag) -> None:
    """Let a slider of stored frames show the one it starts with, and say in words which it is."""
    for figure in body.select(".slider-figure"):
        label = figure.find("label")
        said = soup.new_tag("p", attrs={"class": "slider-value"})
        said.string = ": ".join(" ".join(part.split()) for part in label.stripped_strings)
        label.replace_with(said)
        figure.script.decompose()


def on_paper(soup: BeautifulSoup, body: Tag) -> Tag:
    """Change the body of a page of ``soup`` in place, and return it."""
    for left_out in body.select(".headerlink, .copybtn"):
        left_out.decompose()
    for image in body("img"):
        image.attrs.pop("loading", None)
    unfold(body)
    solutions_last(body)
    still(soup, body)
    return body

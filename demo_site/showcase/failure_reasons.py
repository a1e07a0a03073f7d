"""Why a file or a chip failed: a short code in the database, a sentence on the page."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

REASONS = {
    "not_a_picture": _("This is not a JPEG, PNG, TIFF or ZIP file, whatever its name says."),
    "too_small": _("The picture is smaller than 8 pixels."),
    "too_many_pixels": _("The picture has more pixels than this site decodes."),
    "too_many_chips": _("The batch would hold more chips than this site allows."),
    "too_many_members": _("The archive holds more files than this site unpacks."),
    "too_large": _("The file is larger than this site allows."),
    "animated": _("The file holds several pictures; send them one by one."),
    "truncated": _("The file is cut short; send it again."),
    "broken": _("The file is damaged and could not be decoded."),
    "unreadable": _("This kind of picture cannot be turned into colours."),
    "bomb": _("The archive unpacks to far more than it should."),
    "unpacked": _("The batch's archives unpack to more than this site allows."),
    "nested": _("An archive inside an archive is not unpacked."),
    "climbs": _("The archive's entry points outside its folder."),
    "link": _("The archive's entry is a link, not a file."),
    "encrypted": _("The archive's entry is encrypted."),
    "memory": _("Decoding it took more memory than this site gives."),
    "time": _("Decoding it took longer than this site waits."),
    "batch_time": _("Decoding the batch's files took longer than this site waits for all of them."),
    "crashed": _("The decoder crashed on this file."),
    "missing": _("The upload copy is gone; send the file again."),
    "predictor": _("The model could not predict this chip."),
    "worker_died": _("The worker ended three times while it worked on this."),
}


#: What another try may mend; a copy of a file that failed for other reasons is of no use.
PASSING = {"memory", "time", "batch_time", "crashed", "worker_died", "predictor"}

SETBACKS = {
    "model": _("The model is not loaded. The batch waits and starts by itself when it is."),
    "worker": _("The worker stopped in the middle. Another one continues; nothing is lost."),
    "disk": _("The disk is full. The batch waits and goes on when there is room; nothing is lost."),
    "storage": _(
        "The file store does not answer. The batch waits and goes on when it does; nothing is lost."
    ),
    "decoder": _(
        "The decoder does not start. The batch waits and goes on when it does; nothing is lost."
    ),
    "database": _("The database did not answer. It is tried again in a moment; nothing is lost."),
    "ration": _(
        "Your address has used up what one may have labelled in an hour. The batch goes on later."
    ),
    "fault": _("Something broke. It is tried again in a moment; nothing is lost."),
}


def setback(code: str) -> str:
    """The sentence for what holds a batch up."""
    return str(SETBACKS.get(code, code))


def sentence(code: str) -> str:
    """The sentence for a code, in the language of the page; other text stays as it is."""
    return str(REASONS.get(code, code))

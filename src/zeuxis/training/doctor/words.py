"""What the doctor's findings mean, and what to try."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Words:
    """Of one finding.

    Attributes:
        means: a sentence for people who have never trained a model.
        tries: what to do, as an imperative without a full stop.
    """

    means: str
    tries: str


WORDS = {
    "not finite": Words(
        "A loss or a gradient overflowed, and is no number any more.",
        "lower training.lr, or train with training.precision=float32 where it is bfloat16",
    ),
    "gradient spike": Words(
        "One step would have moved the weights far more than any before it.",
        "nothing, if it was one; look at the images of that step if it comes again",
    ),
    "diverging": Words(
        "The loss grows instead of falling: steps are too long.",
        "lower training.lr",
    ),
    "learning rate": Words(
        "The learning rate is far from what this family is known to train well with.",
        "leave training.lr at its default",
    ),
    "does not move": Words(
        "One of the networks does not learn at all.",
        "look at training.lr and at what was frozen",
    ),
    "one player wins": Words(
        "The discriminator tells real from drawn so easily that the generator learns nothing from it.",
        "raise family.gamma, augment (family.augment), or train on more images",
    ),
    "collapse": Words(
        "Whatever the noise, nearly the same image comes out.",
        "raise family.gamma four times, or take another seed",
    ),
    "posterior collapse": Words(
        "The decoder has learned to do without the code, so that every code gives the mean image.",
        "lower family.beta, or set family.kl_warmup=0.3",
    ),
    "unused codes": Words(
        "Most entries of the codebook are never chosen.",
        "use fewer codes, or train on more images",
    ),
    "captions unused": Words(
        "What is asked for in words makes no difference yet.",
        "train longer, or use --preset text",
    ),
    "labels unrelated": Words(
        "The labels cannot be told from the images, so a model cannot learn what they mean.",
        "check that labels and images were not mixed up; data.conditions=none trains without",
    ),
    "labels not used": Words(
        "Whatever label is asked for, the samples do not show it.",
        "train longer, or raise family.classify of a GAN or guidance_scale when drawing",
    ),
    "kinds missing": Words(
        "Some of the classes are never drawn, whatever is asked for.",
        "train longer, or look at how many images those classes have",
    ),
    "memorisation": Words(
        "The model draws training images instead of new ones.",
        "train for fewer steps, add images, or augment (data.flip, data.crop)",
    ),
    "checkerboards": Words(
        "A pattern of a few pixels lies over the samples.",
        "use upsampling before convolutions, as family.network=residual does, or train longer",
    ),
    "augmentation": Words(
        "Changes that were to be seen in training only have become part of the samples.",
        "lower family.augment_share, or leave colour and cutout out of family.augment",
    ),
    "held-out images in training": Words(
        "What is held out to measure with was trained on, so scores are too good.",
        "remove the copies from the training side",
    ),
    "getting worse": Words(
        "The samples were closer to real images earlier.",
        "use --keep best, or fewer steps",
    ),
    "too few images": Words(
        "A model of so few images learns them by heart.",
        "add images, crop them (data.crop), or start from a trained run (--from RUN)",
    ),
    "repeated images": Words(
        "Images that come many times are learned by heart, and held-out ones are no test.",
        "remove the repeats",
    ),
    "constant images": Words("All images are the same.", "check the source"),
    "blurred images": Words(
        "Neighbouring pixels are nearly equal everywhere: the images were enlarged or smoothed.",
        "use the originals, or a smaller data.size",
    ),
    "one class": Words(
        "The model sees hardly anything of the other classes.",
        "add images of the other classes, or take fewer of this one",
    ),
    "labels too fine": Words(
        "To ask for a label is to ask for one known image.",
        "choose columns that many images share: data.conditions=NAME,NAME",
    ),
}
"""By name, as `log.jsonl` has it."""

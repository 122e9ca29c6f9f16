"""The parts of `check`: each has a function run(notes), which notes what it finds as soon as it is found."""

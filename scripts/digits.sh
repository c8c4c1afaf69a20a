# Sourced by other scripts after environment.sh. Builds the databases of the digits shipped with hpcbrew, unless they
# already exist.

lenet=configs/models/lenet

# database NAME PART: builds the database NAME from the idx files of that part.
database() {
    local said
    if [[ ! -e $lenet/$1 ]]; then
        printf 'Making %s.\n' "$lenet/$1"
        said=$(convert_mnist_data "$lenet/digits/$2-images-idx3-ubyte.gz" "$lenet/digits/$2-labels-idx1-ubyte.gz" "$lenet/$1" 2>&1) ||
            fail "$said"
    fi
}

database mnist_train_lmdb train
database mnist_test_lmdb t10k
